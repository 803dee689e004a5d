//! `docs/api-coverage.md` is printed from the table that the request tests walk.

use std::fmt::Write as _;
use std::path::PathBuf;

use antiphon_wire::{
    AGENT_FIELDS, CREDENTIAL_FIELDS, ENVIRONMENT_FIELDS, REQUEST_FIELDS, RequestField, TRIGGER_FIELDS, Treatment,
};

#[test]
fn the_documented_coverage_is_the_real_one() {
    // Where the runner says that the sources are now.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let path = PathBuf::from(package).join("../../docs/api-coverage.md");
    let printed = print();
    if std::fs::read_to_string(&path).unwrap_or_default() != printed {
        std::fs::write(&path, printed).unwrap();
        panic!("docs/api-coverage.md was out of date and has been printed anew; commit it");
    }
}

fn print() -> String {
    let mut text = String::from(
        "# What becomes of each field of a create request\n\n\
         Printed from the table that a test walks: it sends each sample and checks the outcome.\n\
         *Honoured* fields have their effect; *refused* ones are answered with 400 and an error that\n\
         names the path. Nothing is ignored, and unknown keys are `parameter_unknown`.\n\n\
         | Field | Sample | Today | Note |\n|---|---|---|---|\n",
    );
    print_rows(&mut text, REQUEST_FIELDS);
    text.push_str(
        "\n# What becomes of each field of an environment\n\n\
         Of `POST /environments`; all but `from_environment` also of the object that `environment` may be,\n\
         which has `environment_id` besides.\n\n\
         | Field | Sample | Today | Note |\n|---|---|---|---|\n",
    );
    print_rows(&mut text, ENVIRONMENT_FIELDS);
    text.push_str(
        "\n# What becomes of each field of an agent's definition\n\n\
         Of `POST /agents`; `id` and `base_agent` must be there.\n\n\
         | Field | Sample | Today | Note |\n|---|---|---|---|\n",
    );
    print_rows(&mut text, AGENT_FIELDS);
    text.push_str(
        "\n# What becomes of each field of a credential\n\n\
         Of `POST /credentials`, each in a whole body. `PATCH` takes the same fields but `id`, and all of\n\
         them but `type` may be left out.\n\n\
         | Field | Sample | Today | Note |\n|---|---|---|---|\n",
    );
    print_rows(&mut text, CREDENTIAL_FIELDS);
    text.push_str(
        "\n# What becomes of each field of a trigger\n\n\
         Of `POST /triggers`. `PATCH` takes `display_name`, and `active` or `paused` as `status`.\n\n\
         | Field | Sample | Today | Note |\n|---|---|---|---|\n",
    );
    print_rows(&mut text, TRIGGER_FIELDS);
    text
}

fn print_rows(text: &mut String, fields: &[RequestField]) {
    for field in fields {
        let treatment = match field.treatment {
            Treatment::Honoured => "honoured",
            Treatment::Refused => "refused",
        };
        writeln!(text, "| `{}` | `{}` | {treatment} | {} |", field.path, field.sample, field.note).unwrap();
    }
}
