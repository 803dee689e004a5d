//! Formats as patterns: bounded, and strict enough that what they admit passes the validator.

/// The pattern that a string of this format follows while decoding; `None` for formats that are only checked
/// afterwards, or mean nothing.
pub(crate) fn pattern(format: &str) -> Option<String> {
    Some(match format {
        "date" => format!("^{DATE}$"),
        "time" => format!("^{TIME}$"),
        "date-time" => format!("^{DATE}T{TIME}$"),
        "duration" => DURATION.to_owned(),
        "email" | "idn-email" => EMAIL.to_owned(),
        "hostname" | "idn-hostname" => format!("^{HOST}$"),
        "ipv4" => format!("^{IPV4}$"),
        "ipv6" => IPV6.to_owned(),
        "uuid" => UUID.to_owned(),
        "uri" | "iri" => format!("^{URI}$"),
        "uri-reference" | "iri-reference" => format!("^({URI}|/?{SEGMENT}(/{SEGMENT}){{0,16}})$"),
        "json-pointer" => "^(/[a-zA-Z0-9_.-]{0,64}){0,16}$".to_owned(),
        _ => return None,
    })
}

/// The 29th of February only in leap years, and no year 0, which dates of Python do not have.
const DATE: &str = concat!(
    r"((000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))",
    r"|([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29)"
);
/// No leap seconds, and at most nanoseconds.
const TIME: &str = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
const DURATION: &str = concat!(
    r"^P([0-9]{1,6}W|([0-9]{1,6}Y([0-9]{1,6}M([0-9]{1,6}D)?)?|[0-9]{1,6}M([0-9]{1,6}D)?|[0-9]{1,6}D)",
    r"(T([0-9]{1,6}H([0-9]{1,6}M([0-9]{1,6}S)?)?|[0-9]{1,6}M([0-9]{1,6}S)?|[0-9]{1,6}S))?",
    r"|T([0-9]{1,6}H([0-9]{1,6}M([0-9]{1,6}S)?)?|[0-9]{1,6}M([0-9]{1,6}S)?|[0-9]{1,6}S))$"
);
const EMAIL: &str = r"^[a-zA-Z0-9_%+-]{1,24}(\.[a-zA-Z0-9_%+-]{1,12}){0,3}@([a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?\.){1,4}[a-zA-Z]{2,12}$";
const HOST: &str = r"[a-zA-Z0-9]{1,30}(-[a-zA-Z0-9]{1,30})?(\.[a-zA-Z0-9]{1,30}(-[a-zA-Z0-9]{1,30})?){0,3}";
const IPV4: &str = r"((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const IPV6: &str = r"^([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$|^([0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){0,2})?::([0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){0,2})?$";
const UUID: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";
const SEGMENT: &str = r"([a-zA-Z0-9._~!$&'()*+,;=@-]|%[0-9a-fA-F]{2}){1,128}";
const URI: &str = concat!(
    r"([a-zA-Z][a-zA-Z0-9+.-]{1,15}:(//[a-zA-Z0-9]{1,40}([.-][a-zA-Z0-9]{1,40}){0,5}(:[0-9]{1,5})?(/",
    r"([a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2}){0,128}){0,16}",
    r"|([a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9a-fA-F]{2}){1,128})",
    r"(\?([a-zA-Z0-9._~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2}){0,256})?(#([a-zA-Z0-9._~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2}){0,64})?)"
);

#[cfg(test)]
mod tests {
    use super::pattern;
    use serde_json::json;

    #[test]
    fn a_pattern_admits_usual_values_and_what_it_admits_the_validator_admits() {
        let rows = [
            ("date", "2024-02-29", "2023-02-29"),
            ("date", "2000-02-29", "1900-02-29"),
            ("date", "0001-01-01", "0000-01-01"),
            ("date", "0400-02-29", "0000-02-29"),
            ("time", "10:30:00Z", "24:00:00Z"),
            ("date-time", "2026-11-22T10:30:00.123+01:00", "2026-11-22 10:30:00"),
            ("duration", "P1Y2M3DT4H5M6S", "P1H"),
            ("email", "ada.lovelace@example.co.uk", "ada@"),
            ("hostname", "a-b.example.com", "-a.example"),
            ("ipv4", "192.168.0.255", "192.168.0.256"),
            ("ipv6", "2001:db8::1", "2001:db8:::1"),
            ("ipv6", "::", "1::2::3"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
            ("uri", "https://example.com:8080/a/b?q=1#top", "example.com"),
            ("uri", "urn:isbn:0451450523", "://x"),
            ("uri-reference", "/a/b", "a b"),
            ("json-pointer", "/a/0", "a"),
        ];
        for (format, good, bad) in rows {
            let options = jsonschema::options().should_validate_formats(true);
            let by_pattern = options.build(&json!({"pattern": pattern(format).unwrap()})).unwrap();
            let by_format = options.build(&json!({"format": format})).unwrap();
            assert!(by_pattern.is_valid(&json!(good)), "{format} {good}");
            assert!(by_format.is_valid(&json!(good)), "{format} {good}");
            assert!(!by_pattern.is_valid(&json!(bad)), "{format} {bad}");
        }
    }
}
