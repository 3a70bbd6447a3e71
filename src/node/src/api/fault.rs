//! Why a request failed, as one sentence.

use std::error::Error;

/// What the API server said, or else the innermost cause: `kube`'s own text names layers of the connection.
pub(crate) fn text(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    loop {
        if let Some(status) = said(innermost) {
            return status;
        }
        match innermost.source() {
            Some(source) => innermost = source,
            None => return innermost.to_string(),
        }
    }
}

/// The message of an API server's answer.
fn said(error: &(dyn Error + 'static)) -> Option<String> {
    use kube::runtime::watcher::Error as WatchError;
    let status = match (error.downcast_ref::<kube::Error>(), error.downcast_ref::<WatchError>()) {
        (Some(kube::Error::Api(status)), _) | (_, Some(WatchError::WatchError(status))) => status,
        _ => return None,
    };
    Some(if status.message.is_empty() {
        format!("HTTP status {}", status.code)
    } else {
        status.message.clone()
    })
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use kube::runtime::watcher::Error as WatchError;

    use super::*;

    #[test]
    fn the_servers_words_are_told_or_the_innermost_cause() {
        let status = || Box::new(Status { message: "nodes is forbidden".to_owned(), ..Status::default() });
        assert_eq!(text(&kube::Error::Api(status())), "nodes is forbidden");
        assert_eq!(text(&WatchError::InitialListFailed(kube::Error::Api(status()))), "nodes is forbidden");
        assert_eq!(text(&WatchError::WatchError(status())), "nodes is forbidden");
        let silent = Box::new(Status { code: 503, ..Status::default() });
        assert_eq!(text(&kube::Error::Api(silent)), "HTTP status 503");
        let refused = std::io::Error::from_raw_os_error(111);
        let error = kube::Error::Service(Box::new(refused));
        assert!(text(&error).contains("refused"), "{}", text(&error));
    }
}
