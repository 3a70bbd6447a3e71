# shellcheck shell=sh
# Sourced: an apt of its own, which leaves this machine's alone. It believes that nothing is installed.
debian=http://deb.debian.org/debian

# private_apt DIR SUITE: makes it in DIR and has the commands that follow use it.
private_apt() {
    mkdir -p "$1/lists/partial" "$1/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $debian $2 main" >"$1/sources.list"
    cat >"$1/apt.conf" <<END
Dir::State::lists "$1/lists";
Dir::State::status "/dev/null";
Dir::Cache "$1";
Dir::Etc::sourcelist "$1/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none";
APT::Sandbox::User "root";
END
    export APT_CONFIG="$1/apt.conf"
    apt-get update -qq
}
