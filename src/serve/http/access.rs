//! Who may ask: whoever has the token. Certificates are checked in the TLS handshake.

use hyper::header::{AUTHORIZATION, HeaderMap};
use subtle::ConstantTimeEq;

/// What has to be shown.
#[derive(Clone)]
pub(super) struct Access {
    token: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Whoever shows `token` may ask.
    pub(super) fn new(token: String) -> Self {
        Self { token }
    }

    /// Whether these headers show it. How long this takes says nothing about the token but its length.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let (Some(given), None) = (given.next(), given.next()) else { return false };
        let Some((scheme, token)) = given.to_str().ok().and_then(|text| text.split_once(' ')) else {
            return false;
        };
        let is_same: bool = token.trim_start().as_bytes().ct_eq(self.token.as_bytes()).into();
        scheme.eq_ignore_ascii_case("bearer") && is_same && !self.token.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn only_the_token_is_admitted() {
        let access = Access::new("secret".to_owned());
        let admits = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            access.admits(&headers)
        };
        assert!(admits(&["Bearer secret"]) && admits(&["bearer  secret"]));
        for refused in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Bearer secre"],
            &["Bearer secrets"],
            &["Bearer Secret"],
            &["Basic secret"],
            &["secret"],
            &["Bearer secret", "Bearer secret"],
        ] {
            assert!(!admits(refused), "{refused:?}");
        }
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer "));
        assert!(!Access::new(String::new()).admits(&headers));
    }
}
