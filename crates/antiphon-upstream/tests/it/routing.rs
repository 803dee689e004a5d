//! Which address and which model a call goes to.

use std::sync::Arc;

use antiphon_backends::{Script, Scripted};
use antiphon_engine::{Backend, BackendError, Message, ModelEvent, ModelTurn, Prepared};
use antiphon_upstream::{Fallbacks, Upstream, UpstreamOptions};
use futures_util::StreamExt as _;
use pretty_assertions::assert_eq;

use crate::failures::ask;
use crate::service::{Does, Service, options, request};

const NOWHERE: &str = "http://127.0.0.1:1/v1";

#[tokio::test]
async fn the_turns_of_a_conversation_go_to_one_address_and_conversations_to_all() {
    let services = [Service::start(vec![Does::Says(&["a"])]).await, Service::start(vec![Does::Says(&["b"])]).await];
    let urls = services.iter().map(|service| service.url.clone()).collect();
    let named = UpstreamOptions { session_header: Some("x-session".to_owned()), ..options(urls) };
    let upstream = Upstream::new(named).unwrap();
    let mut seen = [0, 0];
    for number in 0..16 {
        let first = format!("Conversation {number}");
        let (answer, _) = ask(&upstream, &first).await;
        let mut longer = request(&first);
        longer.messages.extend([Message::Model(ModelTurn::text("x")), Message::user("And then?")]);
        let mut stream = upstream.generate(longer, Prepared::default()).await.unwrap();
        let mut again = String::new();
        while let Some(Ok(event)) = stream.next().await {
            if let ModelEvent::Text { text, .. } = event {
                again.push_str(&text);
            }
        }
        assert_eq!(again, answer);
        seen[usize::from(answer == "b")] += 1;
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    let sessions = |service: &Service| -> Vec<String> {
        let heads = service.requests().into_iter().map(|(head, _)| head);
        heads.map(|head| head.lines().find(|line| line.starts_with("x-session: ")).unwrap().to_owned()).collect()
    };
    let all = sessions(&services[0]);
    assert!(all.chunks(2).all(|turns| turns[0] == turns[1] && turns[0].len() == "x-session: ".len() + 32), "{all:?}");
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_passed_over() {
    let service = Service::start(vec![Does::Says(&["ok"])]).await;
    let upstream = Upstream::new(options(vec![NOWHERE.to_owned(), service.url.clone()])).unwrap();
    for number in 0..8 {
        assert_eq!(ask(&upstream, &format!("{number}")).await, ("ok".to_owned(), None));
    }
    assert_eq!(service.count(), 8);
    assert!(upstream.is_ready());
}

fn chain(links: Vec<Arc<dyn Backend>>) -> Fallbacks {
    Fallbacks::new(links.into_iter().enumerate().map(|(at, link)| (format!("link {at}"), link)).collect())
}

fn nowhere() -> Arc<dyn Backend> {
    Arc::new(Upstream::new(UpstreamOptions { attempts: 1, ..options(vec![NOWHERE.to_owned()]) }).unwrap())
}

fn local(script: &str) -> Arc<dyn Backend> {
    Arc::new(Scripted::new(Script::parse(script).unwrap()).unwrap())
}

async fn events(backend: &dyn Backend) -> Result<Vec<ModelEvent>, BackendError> {
    let prepared = backend.prepare(&request("Hello you")).await?;
    let stream = backend.generate(request("Hello you"), prepared).await?;
    stream.collect::<Vec<_>>().await.into_iter().collect()
}

#[tokio::test]
async fn the_next_model_answers_for_one_that_cannot_and_says_so() {
    let service = Service::start(vec![Does::Says(&["from afar"])]).await;
    let here = local("[[reply]]\nchunks = [\"from here\"]\n");
    for (links, name, text) in [
        (vec![nowhere(), Arc::new(service.upstream()) as Arc<dyn Backend>, Arc::clone(&here)], "link 1", "from afar"),
        (vec![nowhere(), nowhere(), here], "link 2", "from here"),
    ] {
        let events = events(&chain(links)).await.unwrap();
        assert!(events.contains(&ModelEvent::ServedBy { name: name.to_owned() }), "{events:?}");
        assert!(events.contains(&ModelEvent::Text { text: text.to_owned(), tokens: Vec::new() }), "{events:?}");
        let counted = events.iter().any(|event| matches!(event, ModelEvent::Counted { input_tokens: 2 | 3, .. }));
        assert!(counted, "{events:?}");
        assert!(matches!(events.last(), Some(ModelEvent::Finished { exact: false, .. })));
    }
}

#[tokio::test]
async fn a_local_model_that_fails_before_its_first_word_has_a_successor_and_after_it_none() {
    let here = local("[[reply]]\nchunks = [\"from here\"]\n");
    let dies = local("[[reply]]\nchunks = [\"x\", \"y\"]\nfail_after = 0\n");
    let text = |events: &[ModelEvent]| -> String {
        let texts = events.iter().filter_map(|event| match event {
            ModelEvent::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    };
    assert_eq!(text(&events(&chain(vec![dies, Arc::clone(&here)])).await.unwrap()), "from here");
    let dies = local("[[reply]]\nchunks = [\"x\", \"y\"]\nfail_after = 1\n");
    assert!(matches!(events(&chain(vec![dies, here])).await, Err(BackendError::Died(_))));
}

#[tokio::test]
async fn what_the_request_is_to_blame_for_no_other_model_is_asked() {
    let refuses = Service::start(vec![Does::Answers(400, "", "{}".to_owned())]).await;
    let never = Service::start(vec![Does::Says(&["never"])]).await;
    let error = events(&chain(vec![Arc::new(refuses.upstream()), Arc::new(never.upstream())])).await.unwrap_err();
    assert!(matches!(error, BackendError::Upstream { code: "invalid_request", .. }), "{error:?}");
    assert_eq!(never.count(), 0);
}

#[tokio::test]
async fn when_none_can_answer_the_first_says_why() {
    let busy = Service::start(vec![Does::Answers(429, "retry-after: 60\r\n", String::new())]).await;
    let error = events(&chain(vec![Arc::new(busy.upstream()), nowhere()])).await.unwrap_err();
    assert!(matches!(error, BackendError::Upstream { code: "rate_limit_exceeded", .. }), "{error:?}");
}
