//! `antiphon agents run`: one interaction, followed to its end.
//!
//! It runs in the background, so that a connection that is cut costs nothing: the stream is
//! taken up where it was. Whoever interrupts the command cancels the run.

use std::io::Write as _;
use std::path::Path;

use antiphon_wire::SseDecoder;
use clap::Args;
use reqwest::{Method, Response, Url};
use serde_json::{Value, json};

use super::{environment, in_words, read, tools};
use crate::client::{Client, cut};
use crate::{Failed, print, say, shown};

/// How often a stream that was cut is taken up without anything new.
const MOST_CUTS: u32 = 5;
/// Of what a tool was asked or answered, in characters.
const LONGEST_NOTE: usize = 200;

#[derive(Args)]
pub(crate) struct Task {
    agent: String,
    /// What it is to do; `-` is standard input.
    input: String,
    /// `remote`, an environment's id, or an environment in JSON.
    #[arg(long)]
    environment: Option<String>,
    /// Go on after this interaction.
    #[arg(long)]
    previous: Option<String>,
    #[arg(long)]
    system_instruction: Option<String>,
    /// A type of tool, or a tool in JSON, in place of the agent's own; may be given several times.
    #[arg(long = "tool")]
    tools: Vec<String>,
    /// The agent's configuration in JSON, with its `type`.
    #[arg(long)]
    agent_config: Option<String>,
    /// Print the id and let it run; `GET /v1beta/interactions/ID` shows what becomes of it.
    #[arg(long, conflicts_with = "json")]
    detach: bool,
    /// Print every event as a line of JSON.
    #[arg(long)]
    json: bool,
}

impl Task {
    pub(crate) async fn run(self, client: &Client) -> Result<(), Failed> {
        let url = client.address(&["interactions"]);
        let body = self.body()?;
        if self.detach {
            let begun = client.ask(Method::POST, url, Some(&body)).await?;
            print(&shown::line(&shown::cell(&begun["id"])));
            return Ok(());
        }
        let mut course = Course { json: self.json, ..Course::default() };
        let followed = tokio::select! {
            followed = follow(client, url, &body, &mut course) => followed,
            _ = tokio::signal::ctrl_c() => {
                if let Some(id) = &course.id {
                    client.ask(Method::POST, client.address(&["interactions", id, "cancel"]), None).await?;
                    say(&format!("Interaction {id} is cancelled."));
                }
                return Err(Failed::with_code("interrupted", 130));
            }
        };
        followed?;
        course.end()
    }

    fn body(&self) -> Result<Value, Failed> {
        let input = if self.input == "-" { read(Path::new("-"))? } else { self.input.clone() };
        let mut body = json!({ "agent": self.agent, "input": input, "background": true, "stream": !self.detach });
        if let Some(text) = &self.environment {
            body["environment"] = environment(text.clone());
        }
        if let Some(previous) = &self.previous {
            body["previous_interaction_id"] = json!(previous);
        }
        if let Some(instruction) = &self.system_instruction {
            body["system_instruction"] = json!(instruction);
        }
        if !self.tools.is_empty() {
            body["tools"] = Value::Array(tools(&self.tools));
        }
        if let Some(config) = &self.agent_config {
            body["agent_config"] =
                in_words(config).ok_or_else(|| Failed::new("--agent-config: expected an object in JSON"))?;
        }
        Ok(body)
    }
}

/// Shows the events of a run until the last one, over as many connections as it takes.
async fn follow(client: &Client, url: Url, body: &Value, course: &mut Course) -> Result<(), Failed> {
    let mut response = client.open(Method::POST, url, Some(body)).await?;
    let mut cuts = 0;
    loop {
        let seen = course.last_event.clone();
        course.show_all(&mut response).await;
        if course.status.is_some() {
            return Ok(());
        }
        cuts = if course.last_event == seen { cuts + 1 } else { 1 };
        let Some((id, last)) = course.id.clone().zip(course.last_event.clone()).filter(|_| cuts <= MOST_CUTS) else {
            return Err(cut());
        };
        let mut rest = client.address(&["interactions", &id]);
        rest.query_pairs_mut().append_pair("stream", "true").append_pair("last_event_id", &last);
        response = client.open(Method::GET, rest, None).await?;
    }
}

/// What has been seen of a run.
#[derive(Default)]
struct Course {
    json: bool,
    id: Option<String>,
    last_event: Option<String>,
    environment: Option<String>,
    /// Once there is no more to come.
    status: Option<String>,
    error: Option<String>,
    /// The type of the step that is being shown.
    step: String,
    /// Titles and addresses that the answer cites, in their order.
    cited: Vec<(String, String)>,
}

impl Course {
    async fn show_all(&mut self, response: &mut Response) {
        let mut decoder = SseDecoder::default();
        while let Ok(Some(bytes)) = response.chunk().await {
            for data in decoder.feed(&bytes) {
                if let Ok(event) = serde_json::from_str::<Value>(&data) {
                    self.show(&event);
                }
            }
        }
    }

    fn show(&mut self, event: &Value) {
        if let Some(id) = event["event_id"].as_str() {
            self.last_event = Some(id.to_owned());
        }
        if self.json {
            print(&event.to_string());
        }
        match event["event_type"].as_str().unwrap_or_default() {
            "interaction.created" => self.note_head(&event["interaction"]),
            "step.start" => self.step = shown::cell(&event["step"]["type"]),
            "step.delta" if !self.json => self.show_delta(&event["delta"]),
            "step.stop" if !self.json && self.step == "model_output" => print(""),
            "error" => self.error = event["error"]["message"].as_str().map(str::to_owned),
            "interaction.completed" => {
                self.note_head(&event["interaction"]);
                self.status = event["interaction"]["status"].as_str().map(str::to_owned);
            }
            _ => {}
        }
    }

    fn note_head(&mut self, interaction: &Value) {
        let text = |field: &str| interaction[field].as_str().map(str::to_owned);
        self.id = text("id").or(self.id.take());
        self.environment = text("environment_id").or(self.environment.take());
    }

    fn show_delta(&mut self, delta: &Value) {
        match delta["type"].as_str().unwrap_or_default() {
            "text" => {
                let mut output = std::io::stdout().lock();
                let _ = write!(output, "{}", shown::text(delta["text"].as_str().unwrap_or_default()));
                let _ = output.flush();
            }
            "text_annotation_delta" => self.note_citations(&delta["annotations"]),
            "thought_summary" => say(&shown::text(delta["content"]["text"].as_str().unwrap_or_default())),
            "thought_signature" => {}
            _ => {
                let said = ["arguments", "result"].iter().map(|field| &delta[field]).find(|value| !value.is_null());
                let said = said.map(shown::cell).unwrap_or_default();
                let short: String = said.chars().take(LONGEST_NOTE).collect();
                let more = if short.len() < said.len() { "…" } else { "" };
                say(&format!("{}: {}{more}", shown::line(&self.step), shown::line(&short)));
            }
        }
    }

    fn note_citations(&mut self, annotations: &Value) {
        for annotation in annotations.as_array().into_iter().flatten() {
            let Some(url) = annotation["url"].as_str() else { continue };
            if self.cited.iter().all(|(_, known)| known != url) {
                self.cited.push((shown::cell(&annotation["title"]), url.to_owned()));
            }
        }
    }

    fn end(&self) -> Result<(), Failed> {
        if !self.json && !self.cited.is_empty() {
            print("\nSources:");
            for (title, url) in &self.cited {
                print(&format!("- {}: {}", shown::line(title), shown::line(url)));
            }
        }
        let status = self.status.as_deref().unwrap_or_default();
        let id = self.id.as_deref().unwrap_or_default();
        let place = self.environment.as_ref().map(|id| format!(", environment {id}")).unwrap_or_default();
        let reason = self.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let line = shown::line(&format!("interaction {id}{place}: {status}{reason}"));
        match status {
            "completed" => {
                say(&line);
                Ok(())
            }
            "failed" => Err(Failed::new(line)),
            _ => Err(Failed::with_code(line, 3)),
        }
    }
}
