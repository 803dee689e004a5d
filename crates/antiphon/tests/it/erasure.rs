//! Deleting an interaction removes its bytes from every file of the data folder.

use serde_json::json;

use crate::server::{Site, files};

#[test]
fn planted_text_is_gone_from_every_file_after_delete() {
    let site = Site::scripted("[[reply]]\nthought = \"thoughtplant\"\nchunks = [\"output\", \"plant\"]");
    let server = site.serve(&[]);
    let kept = server.create(&json!({"model": "scripted", "input": "neighbour"})).unwrap();
    let request = json!({"model": "scripted", "input": "inputplant", "system_instruction": "systemplant",
        "generation_config": {"thinking_summaries": "auto"}});
    let answer = server.create(&request).unwrap();
    let path = format!("/v1/interactions/{}", answer.body["id"].as_str().unwrap());
    assert_eq!(server.call("DELETE", &path, None).unwrap().body, json!({}));
    for file in files(&site.data()) {
        let bytes = std::fs::read(&file).unwrap();
        for planted in ["inputplant", "systemplant", "outputplant", "thoughtplant"] {
            let found = bytes.windows(planted.len()).any(|window| window == planted.as_bytes());
            assert!(!found, "`{planted}` is still in {}", file.display());
        }
    }
    assert_eq!(server.call("GET", &path, None).unwrap().status, 404);
    assert_eq!(server.get(kept.body["id"].as_str().unwrap()).unwrap().status, 200);
}
