//! Tokens of service accounts: asked for, shown, reviewed and forged.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::kubectl::{refused, run};
use super::rbac::{ask_as, done, serve, token_of};
use crate::harness::needs;
use crate::harness::serve::{Server, Shown, kubectls};

const JSON: &str = "application/json";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
pub(super) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(super) fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The code of a request that everybody with a name may make.
pub(super) fn code(server: &Server, token: &str) -> u16 {
    ask_as(server, Shown::Token(token), "GET", "/api", JSON, &Value::Null).0
}

fn key(server: &Server) -> EcdsaKeyPair {
    let text = fs::read(server.dir.join("data/service-account.key")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&text).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der(), &SystemRandom::new())
        .unwrap()
}

/// A token with this header and these claims.
fn sign(key: &EcdsaKeyPair, header: &str, claims: &Value) -> String {
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn forged_tokens_are_refused() {
    let (server, other) = (serve(), serve());
    let token = token_of(&server, "default", "agent");
    let (header, rest) = token.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let (key, valid) = (key(&server), claims(&token));
    let changed = |change: fn(&mut Value)| {
        let mut claims = valid.clone();
        change(&mut claims);
        claims
    };
    // A token that is made here is as good as one of the server's, so that what is refused below is refused for its change.
    assert_eq!(code(&server, &sign(&key, header, &valid)), 200);
    let encoded = |header: Value| URL_SAFE_NO_PAD.encode(header.to_string());
    let none = encoded(json!({"alg": "none", "typ": "JWT"}));
    let admin = changed(|claims| {
        claims["sub"] = "system:serviceaccount:kube-system:admin".into();
        claims["kubernetes.io"]["namespace"] = "kube-system".into();
        claims["kubernetes.io"]["serviceaccount"]["name"] = "admin".into();
    });
    let own_id = serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    for (what, token) in [
        ("no signature", format!("{header}.{body}.")),
        ("alg none", format!("{none}.{body}.")),
        ("alg none with a signature", format!("{none}.{body}.{signature}")),
        ("alg none, signed", sign(&key, &none, &valid)),
        ("another algorithm", sign(&key, &encoded(json!({"alg": "HS256", "kid": own_id["kid"]})), &valid)),
        (
            "a key of its own",
            sign(&key, &encoded(json!({"alg": "ES256", "kid": "../../x", "jwk": {}})), &valid),
        ),
        ("other claims", format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(admin.to_string()))),
        ("another server's key", sign(&self::key(&other), header, &valid)),
        ("another server's token", token_of(&other, "default", "agent")),
        ("an account that is not there", sign(&key, header, &admin)),
        // Clocks may differ by a minute.
        ("the end", sign(&key, header, &changed(|claims| claims["exp"] = (now() - 61).into()))),
        ("no end", sign(&key, header, &changed(|claims| claims["exp"] = Value::Null))),
        ("the future", sign(&key, header, &changed(|claims| claims["nbf"] = (now() + 3600).into()))),
        (
            "another issuer",
            sign(&key, header, &changed(|claims| claims["iss"] = "https://example.com".into())),
        ),
        (
            "another audience",
            sign(&key, header, &changed(|claims| claims["aud"] = json!(["https://example.com"]))),
        ),
        (
            "another uid",
            sign(
                &key,
                header,
                &changed(|claims| claims["kubernetes.io"]["serviceaccount"]["uid"] = "0".into()),
            ),
        ),
        (
            "a subject that is not the account",
            sign(&key, header, &changed(|claims| claims["sub"] = "kubernetes-admin".into())),
        ),
        ("a list", sign(&key, header, &json!([1]))),
        ("much", "a.".repeat(20_000)),
    ] {
        assert_eq!(code(&server, &token), 401, "{what}");
    }
    assert_eq!(code(&server, &token), 200);
}

#[test]
fn a_token_ends_with_its_account() {
    let server = serve();
    let token = token_of(&server, "default", "agent");
    assert_eq!(code(&server, &token), 200);
    done(&server, "DELETE", &format!("{ACCOUNTS}/agent"), &Value::Null);
    assert_eq!(code(&server, &token), 401);
    let next = token_of(&server, "default", "agent");
    assert_eq!((code(&server, &token), code(&server, &next)), (401, 200));
    // While it is being deleted, it holds on for a minute.
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/x"]}});
    done(&server, "POST", ACCOUNTS, &held);
    let token = token_of(&server, "default", "held");
    assert_eq!(code(&server, &token), 200);
    done(&server, "DELETE", &format!("{ACCOUNTS}/held"), &Value::Null);
    assert_eq!(code(&server, &token), 200);
    let end = json!({"metadata": {"name": "held", "finalizers": null}});
    done(&server, "PUT", &format!("{ACCOUNTS}/held"), &end);
    assert_eq!(code(&server, &token), 401);
}

#[test]
fn the_key_outlives_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--nodes=stored", "--authorization-mode=RBAC"];
    let server = Server::start_in(dir.path(), &flags);
    let token = token_of(&server, "default", "agent");
    let path = dir.path().join("data/service-account.key");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    server.kill();
    let server = Server::start_in(dir.path(), &flags);
    assert_eq!(code(&server, &token), 200);
    server.stop();
    fs::remove_file(&path).unwrap();
    let server = Server::start_in(dir.path(), &flags);
    assert_eq!(code(&server, &token), 401, "a new key makes all tokens void");
}

#[test]
fn requests_for_tokens_are_checked() {
    let server = serve();
    let agent = token_of(&server, "default", "agent");
    let path = format!("{ACCOUNTS}/agent/token");
    let admin = server.token();
    let ask = |body: Value| ask_as(&server, Shown::Token(&admin), "POST", &path, JSON, &body);
    let (code, made) = ask(json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"audiences": ["a", "b"], "expirationSeconds": 7200}}));
    assert_eq!((code, &made["kind"]), (201, &json!("TokenRequest")), "{made}");
    let claims = claims(made["status"]["token"].as_str().unwrap());
    let uid = server.get(&format!("{ACCOUNTS}/agent")).json()["metadata"]["uid"].clone();
    assert_eq!(
        claims["kubernetes.io"],
        json!({"namespace": "default", "serviceaccount": {"name": "agent", "uid": uid}})
    );
    assert_eq!((&claims["aud"], &claims["iss"]), (&json!(["a", "b"]), &json!(ISSUER)));
    assert_eq!(claims["sub"], "system:serviceaccount:default:agent");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 7200);
    for (spec, expected, why) in [
        (
            json!({"expirationSeconds": 599}),
            422,
            "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
        ),
        (
            json!({"expirationSeconds": 4_294_967_297_u64}),
            422,
            "may not specify a duration larger than 2^32 seconds",
        ),
        (
            json!({"expirationSeconds": "1h"}),
            400,
            "cannot unmarshal string into Go struct field TokenRequestSpec.spec.expirationSeconds of type int64",
        ),
    ] {
        let (code, status) = ask(json!({"spec": spec}));
        let message = status["message"].as_str().unwrap();
        assert!(code == expected && message.contains(why), "{code} {message}");
    }
    for (method, path, expected) in [
        ("POST", format!("{ACCOUNTS}/lost/token"), 404),
        ("GET", path.clone(), 405),
        ("PUT", path.clone(), 405),
        ("DELETE", path.clone(), 405),
        ("POST", format!("{ACCOUNTS}/agent"), 405),
        ("POST", format!("{ACCOUNTS}/agent/other"), 404),
    ] {
        let (code, _) = ask_as(&server, Shown::Token(&admin), method, &path, JSON, &json!({"spec": {}}));
        assert_eq!(code, expected, "{method} {path}");
    }
    // A token is a thing to be granted like any other.
    let (code, status) = ask_as(&server, Shown::Token(&agent), "POST", &path, JSON, &json!({"spec": {}}));
    let why = "serviceaccounts \"agent\" is forbidden: User \"system:serviceaccount:default:agent\" cannot create resource \
               \"serviceaccounts/token\" in API group \"\" in the namespace \"default\"";
    assert_eq!((code, &status["message"]), (403, &json!(why)));
}

#[test]
fn token_reviews_tell_whose_token_it_is() {
    let server = serve();
    let token = token_of(&server, "default", "agent");
    let uid = server.get(&format!("{ACCOUNTS}/agent")).json()["metadata"]["uid"].clone();
    let admin = server.token();
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let review = |spec: Value| {
        let (code, answer) =
            ask_as(&server, Shown::Token(&admin), "POST", path, JSON, &json!({"spec": spec}));
        assert_eq!(code, 201, "{answer}");
        answer["status"].clone()
    };
    let status = review(json!({"token": token}));
    let id = claims(&token)["jti"].as_str().unwrap().to_owned();
    let user = json!({"username": "system:serviceaccount:default:agent", "uid": uid,
        "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": [format!("JTI={id}")]}});
    assert_eq!(status, json!({"authenticated": true, "user": user, "audiences": [ISSUER]}));
    assert_eq!(review(json!({"token": admin}))["user"]["username"], "kubernetes-admin");
    assert_eq!(review(json!({"token": "nonsense"})), json!({"error": "invalid bearer token"}));
    assert_eq!(review(json!({"token": token, "audiences": ["other", ISSUER]}))["audiences"], json!([ISSUER]));
    assert!(review(json!({"token": token, "audiences": ["other"]}))["authenticated"].is_null());
    let (code, _) = ask_as(&server, Shown::Token(&admin), "POST", path, JSON, &json!({"spec": {}}));
    assert_eq!(code, 400);
    // A token for others is none for the API server, but they can have it reviewed.
    let made =
        done(&server, "POST", &format!("{ACCOUNTS}/agent/token"), &json!({"spec": {"audiences": ["other"]}}));
    let made = made["status"]["token"].as_str().unwrap();
    assert_eq!(self::code(&server, made), 401);
    assert_eq!(review(json!({"token": made, "audiences": ["other"]}))["audiences"], json!(["other"]));
}

#[test]
fn kubectl_creates_tokens() {
    needs!();
    // Older ones know no tokens.
    for kubectl in kubectls().into_iter().take(1) {
        let server = serve();
        run(&server, &kubectl, "create serviceaccount agent -n kube-system");
        let token = run(&server, &kubectl, "create token agent -n kube-system --duration=20m");
        let token = token.trim();
        let claims = claims(token);
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 1200);
        let who = run(
            &server,
            &kubectl,
            &format!("--token={token} auth whoami -o jsonpath={{.status.userInfo.username}}"),
        );
        assert_eq!(who, "system:serviceaccount:kube-system:agent");
        let short = refused(&server, &kubectl, "create token agent -n kube-system --duration=1m");
        assert!(short.contains("may not specify a duration less than 10 minutes"), "{short}");
        let lost = refused(&server, &kubectl, "create token lost -n kube-system");
        assert!(lost.contains("serviceaccounts \"lost\" not found"), "{lost}");
        let who = refused(&server, &kubectl, "--token=nonsense get nodes");
        assert!(who.contains("You must be logged in to the server"), "{who}");
    }
}

#[test]
fn whoever_has_the_public_key_knows_tokens() {
    let server = serve();
    let token = token_of(&server, "default", "agent");
    let read = |path: &str| {
        let answer = server.raw(Shown::Token(&token), &format!("GET {path}"), "", &[]).unwrap();
        assert_eq!(answer.code, 200, "{path}");
        answer.json()
    };
    let issuer = read("/.well-known/openid-configuration");
    let keys = format!("https://{}/openid/v1/jwks", server.address);
    assert_eq!((&issuer["issuer"], &issuer["jwks_uri"]), (&json!(ISSUER), &json!(keys)));
    assert_eq!(issuer["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let key = read("/openid/v1/jwks")["keys"][0].clone();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!((&header["kid"], &header["alg"]), (&key["kid"], &key["alg"]));
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], part("x"), part("y")].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    assert!(key.verify(b"another", &URL_SAFE_NO_PAD.decode(signature).unwrap()).is_err());
    assert_eq!(server.raw(Shown::Nothing, "GET /openid/v1/jwks", "", &[]).unwrap().code, 401);
}

#[test]
fn one_machine_has_no_accounts() {
    let server = Server::start(&[]);
    for path in [ACCOUNTS, "/openid/v1/jwks", "/.well-known/openid-configuration"] {
        assert_eq!(server.get(path).code, 404);
    }
    assert!(!server.dir.join("data/service-account.key").exists());
    assert_eq!(code(&server, "a.b.c"), 401);
}
