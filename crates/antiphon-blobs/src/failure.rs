//! What is told of an object store that fails. What a service says of itself has any length and repeats what it was
//! sent, so that only its status and its code are told; why it cannot be reached is told to its last cause.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;

use object_store::client::HttpError;

/// Characters that are told.
const MOST: usize = 400;

/// Letters of a code.
const LONGEST_CODE: usize = 64;

/// [`ErrorKind::NotFound`] when the object is not there.
#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error")]
pub(crate) fn failed(error: object_store::Error) -> io::Error {
    let kind = match error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, told(&error).chars().take(MOST).collect::<String>())
}

fn told(error: &(dyn Error + 'static)) -> String {
    let chain: Vec<_> = successors(Some(error), |&error| error.source()).collect();
    if let Some(at) = chain.iter().position(|error| error.is::<HttpError>()) {
        let mut causes: Vec<_> = chain[at + 1..].iter().map(ToString::to_string).collect();
        causes.dedup();
        return format!("the object store cannot be reached: {}", causes.join(": "));
    }
    // The library keeps the types of the others to itself.
    let text = chain.last().map(ToString::to_string).unwrap_or_default();
    if let Some((_, said)) = text.split_once("status code: ") {
        let status: String = said.chars().take_while(|letter| *letter != ':').collect();
        return format!("the object store answered `{status}`{}", code(said));
    }
    if text.contains("error response") {
        return format!("the object store answered with an error{}", code(&text));
    }
    let before = text.split(['<', '{', '\n']).next().unwrap_or_default();
    format!("the object store answered what is not understood: {before}")
}

fn code(body: &str) -> String {
    let inside = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    let is_code = |code: &&str| code.len() <= LONGEST_CODE && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    inside.filter(is_code).map(|code| format!(", `{code}`")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn of(text: &str) -> String {
        failed(object_store::Error::Generic { store: "S3", source: text.into() }).to_string()
    }

    #[test]
    fn of_an_answer_only_status_and_code_are_told() {
        let status = "Server returned non-2xx status code: ";
        for (said, told) in [
            (
                "403 Forbidden: <Error><Code>AccessDenied</Code><Key>secret</Key></Error>",
                "`403 Forbidden`, `AccessDenied`",
            ),
            ("403 Forbidden: <Error><Code>a secret</Code></Error>", "`403 Forbidden`"),
            ("500 Internal Server Error: {\"secret\": 1}", "`500 Internal Server Error`"),
            ("502 Bad Gateway: secret", "`502 Bad Gateway`"),
            ("301 Moved Permanently", "`301 Moved Permanently`"),
        ] {
            assert_eq!(of(&format!("{status}{said}")), format!("the object store answered {told}"));
        }
        let said = of("Server returned error response: <Error><Code>SlowDown</Code><Key>secret</Key></Error>");
        assert_eq!(said, "the object store answered with an error, `SlowDown`");
        assert_eq!(of("no list: <secret>"), "the object store answered what is not understood: no list: ");
        assert!(of(&"x".repeat(10_000)).len() <= MOST);
    }
}
