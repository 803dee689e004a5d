//! `antiphon agents`: the agents of a running server, and runs of them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Reach;
use crate::{Failed, print, say, shown};

mod run;

/// Of what is read from a file or from standard input.
const LONGEST_INPUT: u64 = 16 << 20;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the agents that the project defined.
    List {
        #[command(flatten)]
        reach: Reach,
        /// Print JSON in place of a table.
        #[arg(long)]
        json: bool,
    },
    /// Print an agent's definition.
    Get {
        #[command(flatten)]
        reach: Reach,
        agent: String,
    },
    /// Define an agent, by a file or by options; options go before the file.
    Create {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        definition: Box<Definition>,
    },
    /// Delete agents.
    Delete {
        #[command(flatten)]
        reach: Reach,
        #[arg(required = true)]
        agents: Vec<String>,
    },
    /// Run an agent and show what it does: its answer on standard output, all else beside it.
    ///
    /// The exit code is 0 when it completed, 1 when it failed or was refused, 3 when it ended
    /// in another way.
    Run {
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        task: Box<run::Task>,
    },
}

#[derive(Args)]
struct Definition {
    /// The agent's name.
    id: Option<String>,
    /// A file with a definition in JSON; `-` is standard input.
    #[arg(long)]
    file: Option<PathBuf>,
    #[arg(long)]
    base_agent: Option<String>,
    #[arg(long)]
    description: Option<String>,
    #[arg(long)]
    system_instruction: Option<String>,
    /// A type of tool, or a tool in JSON; may be given several times.
    #[arg(long = "tool")]
    tools: Vec<String>,
    /// `remote`, an environment's id, or an environment in JSON.
    #[arg(long)]
    base_environment: Option<String>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failed> {
    match arguments.command {
        Command::List { reach, json } => {
            let client = reach.client()?;
            let agents = client.list(client.address(&["agents"]), "agents").await?;
            if json {
                shown::json(&json!({ "agents": agents }));
                return Ok(());
            }
            let fields = ["id", "base_agent", "description"];
            let row = |agent: &Value| fields.iter().map(|field| shown::cell(&agent[field])).collect();
            shown::table(&["id", "base", "description"], &agents.iter().map(row).collect::<Vec<_>>());
            Ok(())
        }
        Command::Get { reach, agent } => {
            let client = reach.client()?;
            shown::json(&client.ask(Method::GET, client.address(&["agents", &agent]), None).await?);
            Ok(())
        }
        Command::Create { reach, definition } => {
            let body = definition.read()?;
            let client = reach.client()?;
            let made = client.ask(Method::POST, client.address(&["agents"]), Some(&body)).await?;
            print(&shown::line(&shown::cell(&made["id"])));
            Ok(())
        }
        Command::Delete { reach, agents } => {
            let client = reach.client()?;
            for agent in &agents {
                client.ask(Method::DELETE, client.address(&["agents", agent]), None).await?;
                say(&format!("Agent {agent} is deleted."));
            }
            Ok(())
        }
        Command::Run { reach, task } => task.run(&reach.client()?).await,
    }
}

impl Definition {
    fn read(self) -> Result<Value, Failed> {
        let mut body = match &self.file {
            Some(file) => serde_json::from_str(&read(file)?)
                .map_err(|error| Failed::new(format!("`{}` is no JSON: {error}", file.display())))?,
            None => json!({}),
        };
        let Value::Object(fields) = &mut body else {
            return Err(Failed::new("expected a definition that is an object"));
        };
        let tools = tools(&self.tools);
        let given = [
            ("id", self.id.map(Value::String)),
            ("base_agent", self.base_agent.map(Value::String)),
            ("description", self.description.map(Value::String)),
            ("system_instruction", self.system_instruction.map(Value::String)),
            ("tools", (!tools.is_empty()).then_some(Value::Array(tools))),
            ("base_environment", self.base_environment.map(environment)),
        ];
        fields.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(body)
    }
}

/// Tools as requests take them: by their types, or in words.
fn tools(texts: &[String]) -> Vec<Value> {
    texts.iter().map(|tool| in_words(tool).unwrap_or_else(|| json!({ "type": tool }))).collect()
}

/// An environment as requests take it: a name, or in words.
fn environment(text: String) -> Value {
    in_words(&text).unwrap_or(Value::String(text))
}

fn in_words(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_object)
}

/// All of a file, or of standard input for `-`.
fn read(file: &Path) -> Result<String, Failed> {
    let cannot = |why: &dyn std::fmt::Display| Failed::new(format!("`{}` cannot be read: {why}", file.display()));
    let source: Box<dyn std::io::Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(|error| cannot(&error))?)
    };
    let mut text = String::new();
    source.take(LONGEST_INPUT + 1).read_to_string(&mut text).map_err(|error| cannot(&error))?;
    if text.len() as u64 > LONGEST_INPUT {
        return Err(cannot(&format!("it has more than {LONGEST_INPUT} bytes")));
    }
    Ok(text)
}
