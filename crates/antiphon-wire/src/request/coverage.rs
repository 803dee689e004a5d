//! Every field that a request may have, and what becomes of it.

/// What becomes of a field of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    Honoured,
    /// 400 that names the field.
    Refused,
}

/// One row of the table that `docs/api-coverage.md` is printed from and that a test
/// walks against [`CreateInteraction::read`](super::CreateInteraction::read).
#[derive(Clone, Copy, Debug)]
pub struct RequestField {
    /// The JSON path, as errors name it.
    pub path: &'static str,
    /// A value for it, as JSON.
    pub sample: &'static str,
    pub treatment: Treatment,
    pub note: &'static str,
}

pub(crate) const fn honoured(path: &'static str, sample: &'static str, note: &'static str) -> RequestField {
    RequestField { path, sample, treatment: Treatment::Honoured, note }
}

pub(crate) const fn refused(path: &'static str, sample: &'static str, note: &'static str) -> RequestField {
    RequestField { path, sample, treatment: Treatment::Refused, note }
}

/// Every field of spec 02 and its treatment today.
pub const REQUEST_FIELDS: &[RequestField] = &[
    honoured("model", r#""gemini-3.5-flash""#, "served by the configured default when it is a `gemini-*` text model"),
    honoured(
        "agent",
        r#""antigravity-preview-05-2026""#,
        "works with the configured default model; `deep-research-*` needs `background`",
    ),
    refused("agent", r#""code-mender-preview""#, "comes later"),
    honoured("input", r#""Hello""#, "string, content part, step, and lists of them"),
    honoured(
        "input",
        r#"[{"type":"image","data":"aGk=","mime_type":"image/png"}]"#,
        "seen by a model that takes images, else read as `docs/media.md` says",
    ),
    honoured(
        "input",
        r#"[{"type":"audio","data":"aGk=","mime_type":"audio/wav"}]"#,
        "heard by a model that takes audio, else read as `docs/media.md` says",
    ),
    honoured(
        "input",
        r#"[{"type":"video","data":"aGk=","mime_type":"video/mp4"}]"#,
        "seen by a model that takes videos, else read as `docs/media.md` says",
    ),
    honoured(
        "input",
        r#"[{"type":"document","data":"aGk=","mime_type":"application/pdf"}]"#,
        "read by a model that takes documents, else as `docs/media.md` says",
    ),
    honoured(
        "input",
        r#"[{"type":"image","uri":"https://example.com/a.png"}]"#,
        "an address of the public internet, or a file of the project (`files/…`): fetched before acceptance",
    ),
    honoured(
        "input",
        r#"[{"type":"image","data":"aGk=","mime_type":"image/png","resolution":"low"}]"#,
        "`low`, `medium`, `high`, `ultra_high`; where media are read here, and by services that know it",
    ),
    honoured(
        "input",
        r#"[{"type":"document","data":"aGk=","mime_type":"application/pdf","processing":{"type":"static","page_options":{"start_page":2,"end_page":3}}}]"#,
        "`static` and its options; where media are read here, and by services that know them",
    ),
    refused(
        "input[0].processing",
        r#"[{"type":"video","data":"aGk=","mime_type":"video/mp4","processing":"agentic"}]"#,
        "videos are read once",
    ),
    honoured(
        "input",
        r#"[{"type":"audio","data":"aGk=","mime_type":"audio/l16","sample_rate":16000,"channels":1}]"#,
        "of raw sound",
    ),
    honoured(
        "input",
        r#"[{"type":"user_input","content":"Hi"},{"type":"function_call","id":"call_1","name":"f","arguments":{}},{"type":"function_result","call_id":"call_1","result":"ok"}]"#,
        "calls and their results; a result is a string, a list of text parts or an object",
    ),
    refused(
        "input[0].result[0].type",
        r#"[{"type":"function_result","call_id":"call_1","result":[{"type":"image","data":"aGk=","mime_type":"image/png"}]}]"#,
        "media in results come later",
    ),
    honoured(
        "input",
        r#"[{"type":"user_input","content":"Hi"},{"type":"google_search_call","id":"s1","arguments":{"queries":["x"]}},{"type":"google_search_result","call_id":"s1","result":[]},{"type":"model_output","content":"Hello"},{"type":"user_input","content":"And?"}]"#,
        "steps of server tools, replayed: of `google_search`, `url_context`, `code_execution`, `file_search`, `mcp_server_tool`, `tool_search`",
    ),
    refused(
        "input[0].type",
        r#"[{"type":"google_maps_call","id":"call_1"}]"#,
        "steps of tools that are not built come with them",
    ),
    honoured("system_instruction", r#""Be brief""#, "for this interaction alone; not inherited"),
    honoured("tools", r#"[{"type":"function","name":"f","parameters":{"type":"object"}}]"#, "functions of the client"),
    honoured("tools", r#"[{"type":"google_search"}]"#, "with a provider configured: `docs/tools.md`"),
    honoured("tools", r#"[{"type":"google_search","search_types":["web_search"]}]"#, "the web alone"),
    refused(
        "tools[0].search_types[0]",
        r#"[{"type":"google_search","search_types":["image_search"]}]"#,
        "only the web is searched",
    ),
    honoured("tools", r#"[{"type":"url_context"}]"#, "pages whose addresses are in the conversation"),
    honoured("tools", r#"[{"type":"code_execution"}]"#, "where a sandbox can be had: `docs/security.md`"),
    honoured(
        "tools",
        r#"[{"type":"mcp_server","name":"notes","url":"https://example.com/mcp","headers":{"a":"b"},"allowed_tools":[{"tools":["x"]}]}]"#,
        "streamable HTTP; headers are never shown again",
    ),
    honoured(
        "tools",
        r#"[{"type":"file_search","file_search_store_names":["fileSearchStores/x"],"metadata_filter":"year > 2020","top_k":3}]"#,
        "stores of the project: `docs/tools.md`",
    ),
    refused("tools[0].file_search_store_names", r#"[{"type":"file_search"}]"#, "there is nothing to be searched"),
    refused("tools[0].type", r#"[{"type":"google_maps"}]"#, "only a service of Google's has it"),
    refused("tools[0].type", r#"[{"type":"computer_use"}]"#, "only a service of Google's has it"),
    refused("tools[0].type", r#"[{"type":"retrieval"}]"#, "only a service of Google's has it"),
    honoured(
        "tools",
        r#"[{"type":"tool_search"},{"type":"function","name":"f","defer_loading":true,"short_description":"x"}]"#,
        "the model is told names, and loads what it wants",
    ),
    honoured(
        "tools",
        r#"[{"type":"tool_search","execution":"client","name":"find","parameters":{"type":"object"}}]"#,
        "the client finds functions, and gives them back in a result",
    ),
    refused(
        "tools[0].defer_loading",
        r#"[{"type":"function","name":"f","defer_loading":true}]"#,
        "without `tool_search` nothing would load it",
    ),
    refused(
        "tools[0].short_description",
        r#"[{"type":"function","name":"f","short_description":"x"}]"#,
        "of deferred functions alone",
    ),
    honoured("previous_interaction_id", r#""v1_abc""#, "linear and forked chains"),
    honoured("store", "false", "nothing is kept on disk"),
    honoured("background", "true", "survives a restart"),
    honoured("stream", "true", "server-sent events"),
    honoured("generation_config.temperature", "0.5", "0 to 2"),
    honoured("generation_config.top_p", "0.9", "0 to 1"),
    honoured(
        "generation_config.max_output_tokens",
        "16",
        "thought and output together; reaching it gives `incomplete`",
    ),
    honoured("generation_config.seed", "7", "best effort: arithmetic differs between batch shapes"),
    honoured("generation_config.stop_sequences", r#"["END"]"#, "up to 16, matched in the visible text"),
    honoured("generation_config.thinking_level", r#""low""#, "a ceiling, also met by not thinking"),
    honoured("generation_config.thinking_summaries", r#""auto""#, "reasoning text is shown as the summary"),
    honoured("generation_config.tool_choice", r#""auto""#, "`auto`, `any`, `none`, `validated`, `allowed_tools`"),
    refused("generation_config.tool_choice", r#""any""#, "no function is declared"),
    refused(
        "generation_config.tool_choice.allowed_tools.tools[0]",
        r#"{"allowed_tools":{"mode":"auto","tools":["f"]}}"#,
        "no such function is declared",
    ),
    refused("generation_config.speech_config", r#"[{"voice":"kore"}]"#, "audio output is not there yet"),
    honoured(
        "generation_config.image_config",
        r#"{"aspect_ratio":"16:9","image_size":"512"}"#,
        "deprecated; of models that answer with a picture",
    ),
    refused("generation_config.video_config", r#"{"task":"edit"}"#, "video output is not there yet"),
    refused("generation_config.transcription_config", r#"{"mode":"smart"}"#, "audio input is not there yet"),
    refused("generation_config.top_k", "40", "not part of the API: `parameter_unknown`"),
    honoured("response_format", r#"{"type":"text","mime_type":"text/plain"}"#, "plain text"),
    honoured(
        "response_format",
        r#"{"type":"text","mime_type":"application/json","schema":{"type":"object"}}"#,
        "the answer conforms to the schema; what a schema may hold: `docs/structured-output.md`",
    ),
    honoured("response_format", r#"{"type":"object","properties":{}}"#, "a bare JSON Schema"),
    honoured("response_format", r#"[{"type":"text"}]"#, "a list, of one text format"),
    honoured(
        "response_format",
        r#"{"type":"image","mime_type":"image/jpeg","aspect_ratio":"16:9","image_size":"2K","delivery":"inline"}"#,
        "of models that answer with a picture: `docs/images.md`",
    ),
    honoured(
        "response_format",
        r#"{"type":"image","delivery":"uri"}"#,
        "the picture becomes a file of the project: `docs/images.md`",
    ),
    refused("response_format.delivery", r#"{"type":"image","delivery":"post"}"#, "`inline` and `uri` are all there is"),
    refused("response_format.mime_type", r#"{"type":"image","mime_type":"image/webp"}"#, "PNG and JPEG are written"),
    honoured(
        "response_format",
        r#"[{"type":"text"},{"type":"image"}]"#,
        "words and a picture, of models that answer with both: `docs/images.md`",
    ),
    refused("response_format", r#"[{"type":"object"},{"type":"image"}]"#, "JSON beside a picture"),
    refused("response_format.type", r#"{"type":"audio"}"#, "audio output is not there yet"),
    refused("response_format.type", r#"{"type":"video"}"#, "video output is not there yet"),
    honoured("response_mime_type", r#""text/plain""#, "deprecated"),
    honoured("response_mime_type", r#""application/json""#, "deprecated; without a schema an object or a list"),
    honoured("response_modalities", r#"["TEXT"]"#, "deprecated; any case"),
    honoured(
        "response_modalities",
        r#"["TEXT","IMAGE"]"#,
        "deprecated; both are a hint: the answer is what the model gives",
    ),
    refused("response_modalities[0]", r#"["audio"]"#, "text and images are the only outputs yet"),
    refused("environment", r#""remote""#, "for agents, and for `code_execution`"),
    refused("agent_config", r#"{"type":"antigravity"}"#, "for agents alone"),
    refused("webhook_config", r#"{"uris":["https://example.com"]}"#, "webhooks come later"),
    honoured("service_tier", r#""priority""#, "sets the queue's priority; echoed"),
    honoured("safety_settings", r#"[{"type":"harassment","threshold":"off"}]"#, "`off` and `block_none`"),
    refused(
        "safety_settings[0].threshold",
        r#"[{"type":"harassment","threshold":"block_only_high"}]"#,
        "there is no filter to honour it",
    ),
    honoured("labels", r#"{"team":"a-1"}"#, "echoed"),
    refused("cached_content", r#""cachedContents/1""#, "prefixes are cached without it"),
    refused("continuation_token", r#""t""#, "never given out"),
    refused("no_such_parameter", "1", "`parameter_unknown`"),
];
