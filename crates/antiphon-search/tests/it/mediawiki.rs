//! MediaWiki's two rounds of requests.

use antiphon_search::{MediaWiki, Provider, Query};

use crate::service::{Request, Service};

/// One answer that has something for each of the requests.
pub(crate) fn pages() -> String {
    r#"{"batchcomplete":true,"query":{"general":{"mainpage":"Main Page","sitename":"Wikipedia"},
        "searchinfo":{"totalhits":3},"search":[
        {"ns":0,"title":"One & only","pageid":11,"size":1,"snippet":"the <span class=\"searchmatch\">first</span>"},
        {"ns":0,"title":"Two","pageid":12,"snippet":""},
        {"ns":0,"title":"Again","pageid":13,"snippet":""},
        {"ns":0,"title":"Bad","pageid":14,"snippet":""}],
        "pages":[
        {"pageid":11,"ns":0,"title":"One & only","canonicalurl":"https://a.example/one","extract":"The first text."},
        {"pageid":12,"ns":0,"title":"Two","canonicalurl":"https://www.b.example/two","extract":""},
        {"pageid":13,"ns":0,"title":"Again","canonicalurl":"https://a.example/one","extract":"x"},
        {"pageid":14,"ns":0,"title":"Bad","canonicalurl":"javascript:alert(1)","extract":"x"}]}}"#
        .to_owned()
}

fn tower() -> String {
    let filler = "Words about something else, enough of them to fill a part. ".repeat(30);
    format!(
        "The tower stands in a town.\\n\\n\\n== History ==\\n{filler}\\n\\n\\n== Heights ==\\nIts height is 38 metres.\\n\
         \\n\\n== Paint ==\\n{filler}"
    )
}

fn answer(request: &Request) -> String {
    let has = |pair: &str| request.line.contains(pair);
    if has("list=search") && has("srsearch=What") {
        return r#"{"batchcomplete":true,"query":{"search":[]}}"#.to_owned();
    }
    if has("list=search") {
        return r#"{"query":{"general":{"sitename":"Wiki of towers"},"search":[
            {"title":"Tower","pageid":7,"snippet":"the tower"},{"title":"Lamp","pageid":8,"snippet":"a &lt;lamp&gt;"}]}}"#
            .to_owned();
    }
    if has("exintro") {
        return r#"{"query":{"pages":[
            {"pageid":7,"title":"Tower","canonicalurl":"https://w.example/wiki/Tower","extract":"The tower."},
            {"pageid":8,"title":"Lamp","canonicalurl":"https://w.example/wiki/Lamp"}]}}"#
            .to_owned();
    }
    if has("pageids=7") {
        return format!(r#"{{"query":{{"pages":[{{"pageid":7,"title":"Tower","extract":"{}"}}]}}}}"#, tower());
    }
    r#"{"error":{"code":"internal_api_error_X","info":"no"}}"#.to_owned()
}

#[tokio::test]
async fn the_parts_that_answer_are_read_from_whole_pages() {
    let service = Service::start(|request| Some((200, answer(request))));
    let wiki = MediaWiki::new(&format!("{}/{{language}}/api.php", service.url), &["en", "pt"]).unwrap();
    let query = Query::new("What is the height of the tower?").in_language("pt-BR").of(2);
    let hits = wiki.search(&query).await.unwrap();

    assert_eq!(hits.len(), 2);
    let tower = &hits[0];
    assert_eq!((tower.url.as_str(), tower.site.as_str()), ("https://w.example/wiki/Tower", "Wiki of towers"));
    assert!(tower.text.starts_with("The tower stands in a town."), "{}", tower.text);
    assert!(tower.text.contains("## Heights\nIts height is 38 metres."), "{}", tower.text);
    assert!(tower.text.chars().count() <= 4000);
    // No introduction, and no whole page: the snippet.
    assert_eq!(hits[1].text, "a <lamp>");

    let lines: Vec<_> = service.requests().into_iter().map(|request| request.line).collect();
    assert!(lines.iter().all(|line| line.starts_with("GET /pt/api.php?action=query&format=json&formatversion=2&")));
    let common = "GET /pt/api.php?action=query&format=json&formatversion=2&list=search&srsearch=";
    let end = "&srlimit=2&srprop=snippet&meta=siteinfo&siprop=general HTTP/1.1";
    assert_eq!(lines[0], format!("{common}What+is+the+height+of+the+tower%3F{end}"));
    assert_eq!(lines[1], format!("{common}height+OR+tower{end}"));
    assert_eq!(lines.len(), 5);
}
