# shellcheck shell=sh
# Sourced.
# image FILE SIZE FOLDER: a file system with a folder's content.
image() {
    rm -f "$1"
    mke2fs -q -t ext4 -O ^has_journal -d "$3" "$1.new" "$2" >/dev/null && mv "$1.new" "$1"
}
