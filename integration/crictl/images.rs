//! `images`, and pulling an image for `run`.

use std::path::Path;

use cri::Client;

use crate::args::{Format, Images};
use crate::error::Error;
use crate::messages::{
    Image, ImageFilter, ImageSpec, ListImagesRequest, ListImagesResponse, Nothing, PullImageRequest,
};
use crate::{files, output, table};

const IMAGE_SERVICE: &str = "runtime.v1.ImageService";
const NONE: &str = "<none>";

pub(crate) fn pull(client: &Client, container_file: &Path, pod_file: &Path) -> Result<(), Error> {
    let image = files::container(container_file)?.image.unwrap_or_default();
    let image = ImageSpec { image: image.image, annotations: image.annotations, ..ImageSpec::default() };
    let request = PullImageRequest { image: Some(image), sandbox_config: Some(files::pod(pod_file)?) };
    let _: Nothing = client.call(IMAGE_SERVICE, "PullImage", request)?;
    Ok(())
}

pub(crate) fn list(client: &Client, args: &Images) -> Result<(), Error> {
    let image = Some(ImageSpec { image: args.image.clone(), ..ImageSpec::default() });
    let request = ListImagesRequest { filter: Some(ImageFilter { image }) };
    let mut answer: ListImagesResponse = client.call(IMAGE_SERVICE, "ListImages", request)?;
    let key = |image: &Image| image.repo_tags.first().or(image.repo_digests.first()).cloned();
    answer.images.sort_by_key(|image| key(image).unwrap_or_else(|| image.id.clone()));
    if args.output == Format::Json {
        return output::message(&answer);
    }
    if args.quiet {
        answer.images.iter().for_each(|image| println!("{}", image.id));
        return Ok(());
    }
    let mut rows = vec![["IMAGE", "TAG", "IMAGE ID", "SIZE"].map(str::to_owned).to_vec()];
    for image in &answer.images {
        for (name, tag) in names(image) {
            let id = table::short_id(&image.id, args.no_trunc);
            rows.push(vec![name, tag, id, table::size(image.size)]);
        }
    }
    table::print(&rows);
    Ok(())
}

/// Name and tag, for each tag.
fn names(image: &Image) -> Vec<(String, String)> {
    let digest = image.repo_digests.first().and_then(|digest| digest.split_once('@'));
    let name = digest.map_or(NONE, |(name, _)| name);
    if image.repo_tags.is_empty() {
        return vec![(name.to_owned(), NONE.to_owned())];
    }
    let split = |tag: &String| match tag.rsplit_once(':') {
        Some((NONE, tag)) => (name.to_owned(), tag.to_owned()),
        Some((name, tag)) => (name.to_owned(), tag.to_owned()),
        None => ("errorRepoTag".to_owned(), "errorRepoTag".to_owned()),
    };
    image.repo_tags.iter().map(split).collect()
}
