//! CSV: its separators, its bounds and its options.

use antiphon_documents::{Fault, Options};
use pretty_assertions::assert_eq;

use crate::world::{read_as, text};

fn csv(bytes: &str, options: &Options) -> (String, Vec<String>) {
    let document = read_as(bytes.as_bytes(), Some("text/csv"), options).unwrap();
    (text(&document).to_owned(), document.left_out)
}

#[test]
fn cells_are_chosen_and_what_would_break_a_row_is_not_let_through() {
    let options = Options { visible_cells: Some("B1:C2".to_owned()), ..Options::default() };
    let (table, left_out) = csv("a,b,c,d\n1,\"x|y\nz\",3,4\n5,6,7,8\n", &options);
    assert_eq!(table, "| b | c |\n|---|---|\n| x\\|y z | 3 |");
    assert_eq!(left_out, Vec::<String>::new());
    let second = Options { sheet_index: Some(2), ..Options::default() };
    let refused = read_as(b"a,b\n", Some("text/csv"), &second).unwrap_err();
    assert!(matches!(refused, Fault::Option { .. }), "{refused}");
}

#[test]
fn what_is_left_out_is_said() {
    let rows = "1,2,3,4\n".repeat(50_002);
    let (_, left_out) = csv(&rows, &Options::default());
    let options = Options { visible_cells: Some("A1:A3".to_owned()), ..Options::default() };
    assert_eq!(csv(&rows, &options).0, "| 1 |\n|---|\n| 1 |\n| 1 |");
    assert_eq!(left_out, ["rows 50001 to 50002"]);
    let wide = vec!["x"; 300].join(",");
    assert_eq!(csv(&wide, &Options::default()).1, ["columns after the first 256"]);
}
