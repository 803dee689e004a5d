use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::request::Treatment;

fn bearer() -> Value {
    json!({"type": "bearer_token", "id": "github", "token": "ghp_secret"})
}

fn oauth() -> Value {
    json!({"type": "oauth2", "id": "mail", "client_id": "c", "client_secret": "cs", "refresh_token": "rt",
        "token_url": "https://example.com/token"})
}

fn variable() -> Value {
    json!({"type": "environment_variable", "id": "key", "value": "v", "injection_location": "header"})
}

fn read(body: Value) -> CredentialConfig {
    CreateCredential::read(body).unwrap().config
}

#[test]
fn every_field_is_honoured_or_refused_by_its_path() {
    for field in CREDENTIAL_FIELDS {
        let read = CreateCredential::read(serde_json::from_str(field.sample).unwrap());
        match field.treatment {
            Treatment::Honoured => assert!(read.is_ok(), "{}: {read:?}", field.sample),
            Treatment::Refused => {
                let message = read.unwrap_err().message;
                assert!(message.starts_with(&format!("`{}`: ", field.path)), "{}: {message}", field.sample);
            }
        }
    }
}

#[test]
fn what_is_not_said_has_its_default() {
    let CredentialConfig::BearerToken(token) = read(bearer()) else { panic!("expected a token") };
    assert_eq!((token.header_name.as_str(), token.prefix.as_str()), ("Authorization", "Bearer"));
    assert_eq!(token.token.expose(), "ghp_secret");
    let CredentialConfig::OAuth2(oauth) = read(oauth()) else { panic!("expected oauth2") };
    assert_eq!(oauth.scopes, Vec::<String>::new());
    let CredentialConfig::EnvironmentVariable(variable) = read(variable()) else { panic!("expected a variable") };
    assert_eq!(variable.injection_location, BTreeSet::from([InjectionLocation::Header]));
    assert_eq!(variable.trusted_domains, None);
}

#[test]
fn an_update_changes_what_it_names_and_nothing_else() {
    let kept = read(bearer());
    let CredentialConfig::BearerToken(mut expected) = kept.clone() else { panic!("expected a token") };
    expected.prefix = String::new();
    let changes = json!({"type": "bearer_token", "prefix": "", "token": null});
    for mask in [None, Some(""), Some("*"), Some("prefix"), Some("type, prefix")] {
        let updated = kept.clone().updated(changes.clone(), mask).unwrap();
        assert_eq!(updated, CredentialConfig::BearerToken(expected.clone()), "{mask:?}");
    }
    let refused = |body: Value, mask: Option<&str>| kept.clone().updated(body, mask).unwrap_err().message;
    assert!(refused(changes.clone(), Some("prefix,token")).starts_with("`update_mask`"));
    assert!(refused(changes, Some("token")).starts_with("`update_mask`"));
    let two = json!({"type": "bearer_token", "prefix": "", "header_name": "X-Key"});
    assert!(refused(two, Some("prefix")).starts_with("`header_name`"));
    assert!(refused(json!({"prefix": ""}), None).starts_with("`type`"));
    assert!(refused(json!({"type": "oauth2"}), None).starts_with("`type`"));
    assert!(refused(json!({"type": "bearer_token", "id": "other"}), None).starts_with("`id`"));
    // What is kept is looked at with what comes.
    let kept =
        read(json!({"type": "environment_variable", "id": "a", "value": "two\nlines", "injection_location": ["body"]}));
    let error =
        kept.updated(json!({"type": "environment_variable", "injection_location": "header"}), None).unwrap_err();
    assert!(error.message.starts_with("`value`"), "{error}");
}

#[test]
fn no_error_and_no_debug_output_holds_a_secret() {
    const PLANTED: &str = "12345678901234567";
    let number: Value = serde_json::from_str(PLANTED).unwrap();
    for (body, names) in [
        (bearer(), &["token", "header_name", "prefix", "id", "type"][..]),
        (oauth(), &["client_id", "client_secret", "refresh_token", "token_url", "scopes"]),
        (variable(), &["value", "injection_location", "trusted_domains"]),
    ] {
        assert!(!format!("{:?}", CreateCredential::read(body.clone())).contains("secret\""));
        for name in names {
            for wrong in
                [number.clone(), json!([PLANTED, 1]), json!({ PLANTED: PLANTED }), json!(format!("{PLANTED}\0"))]
            {
                let mut body = body.clone();
                body[*name] = wrong;
                let error = CreateCredential::read(body.clone()).unwrap_err();
                assert!(error.message.starts_with(&format!("`{name}")), "{name}: {error}");
                assert!(!error.message.contains(PLANTED), "{error}");
            }
        }
    }
    for body in [json!(PLANTED), number] {
        assert!(!CreateCredential::read(body).unwrap_err().message.contains(PLANTED));
    }
    let shown = format!("{:?}", [read(bearer()), read(oauth()), read(variable())]);
    assert!(["ghp_secret", "\"cs\"", "\"rt\"", "\"v\""].iter().all(|text| !shown.contains(text)), "{shown}");
}

#[test]
fn sizes_are_bounded() {
    let check = |mut body: Value, name: &str, good: Value, bad: Value| {
        body[name] = good;
        CreateCredential::read(body.clone()).unwrap();
        body[name] = bad;
        let message = CreateCredential::read(body).unwrap_err().message;
        assert!(message.starts_with(&format!("`{name}")), "{message}");
    };
    let text = |length| json!("x".repeat(length));
    check(bearer(), "token", text(16 << 10), text((16 << 10) + 1));
    check(bearer(), "header_name", text(128), text(129));
    check(bearer(), "prefix", text(64), text(65));
    check(bearer(), "id", text(63), text(64));
    check(variable(), "trusted_domains", json!(vec!["a.b"; 64]), json!(vec!["a.b"; 65]));
    check(variable(), "injection_location", json!(["header", "query", "body"]), json!([]));
    check(oauth(), "scopes", json!(vec!["x"; 64]), json!(vec!["x"; 65]));
}

#[test]
fn domains_are_names_and_not_addresses() {
    let domains = |domain: &str| {
        let mut body = variable();
        body["trusted_domains"] = json!([domain]);
        CreateCredential::read(body).is_ok()
    };
    for good in ["api.example.com", "*.Example.com", "xn--mnchen-3ya.de", "localhost"] {
        assert!(domains(good), "{good}");
    }
    for bad in
        ["", "*", "*.", "a..b", "a.b.", ".a", "127.0.0.1", "[::1]", "a b", "a/b", "a:443", "-a.b", "*.*.a", "é.de"]
    {
        assert!(!domains(bad), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_kept_comes_back(token in "[ -~]{0,20}[!-~]", name in "[A-Za-z0-9-]{1,20}", prefix in "[!-~]{0,20}") {
        prop_assume!(token.trim() == token && name.len() > 10);
        let config = read(json!({"type": "bearer_token", "id": "a", "token": token, "header_name": name, "prefix": prefix}));
        let kept = serde_json::to_vec(&config).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<CredentialConfig>(&kept).unwrap(), &config);
        prop_assert_eq!(config.clone().updated(json!({"type": "bearer_token"}), None).unwrap(), config);
    }
}
