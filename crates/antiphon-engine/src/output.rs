//! Whether what a request wants is what its model gives: text, or a picture. Pure.

use antiphon_wire::{CreateInteraction, Error, Output};

/// `draws`: the model answers with a picture; `captions`: words may stand beside it.
///
/// # Errors
/// `invalid_request` naming the field that asks for something else, or that means nothing for a
/// picture.
pub(crate) fn check(request: &CreateInteraction, draws: bool, captions: bool) -> Result<(), Error> {
    // Two fields that are deprecated say the same.
    let said = if request.response_format.is_some() {
        "response_format"
    } else {
        "response_mime_type` or `response_modalities"
    };
    let refused = |field: &str, message: &str| Err(Error::invalid(field, message));
    if !draws {
        let asks_for_picture = match request.output {
            Some(Output::Image(_) | Output::Both(_)) => Some(said),
            // A hint, unless it says what the picture is to be.
            Some(Output::Either(_)) if request.response_format.is_some() => Some(said),
            Some(Output::Text | Output::Either(_)) | None => {
                request.generation_config.image_config.map(|_| "generation_config.image_config")
            }
        };
        let Some(field) = asks_for_picture else { return Ok(()) };
        return refused(field, "this model answers in text; models named `gemini-*-image*` answer with a picture");
    }
    match request.output {
        Some(Output::Text) => return refused(said, "this model answers with a picture, which is no text"),
        Some(Output::Both(_)) if !captions => {
            return refused(said, "this model answers with a picture alone, no text can stand beside it");
        }
        Some(Output::Image(_) | Output::Both(_) | Output::Either(_)) | None => {}
    }
    if request.agent.is_some() {
        return refused("agent_config.model", "expected a model that answers in text, this one answers with a picture");
    }
    if !request.tools.is_empty() {
        return refused("tools", "a model that answers with a picture takes no tools yet");
    }
    if !request.generation_config.stop_sequences.is_empty() {
        return refused("generation_config.stop_sequences", "a picture holds no text that could be stopped at");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check_of(more: &Value, draws: bool, captions: bool) -> Option<String> {
        let mut body = json!({ "model": "gemini-3.1-flash-image", "input": "A tree" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = CreateInteraction::read(body).unwrap();
        check(&request, draws, captions)
            .err()
            .map(|error| error.message.split(':').next().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_model_that_draws_is_asked_for_pictures_alone() {
        let function = json!({ "tools": [{ "type": "function", "name": "f" }] });
        for (more, draws, refused) in [
            (json!({}), true, None),
            (json!({}), false, None),
            (json!({ "response_format": { "type": "image" } }), true, None),
            (json!({ "response_format": { "type": "image" } }), false, Some("`response_format`")),
            (json!({ "response_modalities": ["text", "image"] }), true, None),
            (json!({ "response_modalities": ["text", "image"] }), false, None),
            (
                json!({ "response_modalities": ["text", "image"], "response_format": { "type": "image" } }),
                false,
                Some("`response_format`"),
            ),
            (json!({ "response_format": [{ "type": "text" }, { "type": "image" }] }), true, None),
            (json!({ "response_format": [{ "type": "text" }, { "type": "image" }] }), false, Some("`response_format`")),
            (json!({ "response_modalities": ["image"] }), false, Some("`response_mime_type` or `response_modalities`")),
            (json!({ "generation_config": { "image_config": {} } }), true, None),
            (json!({ "generation_config": { "image_config": {} } }), false, Some("`generation_config.image_config`")),
            (json!({ "response_format": { "type": "text" } }), true, Some("`response_format`")),
            (json!({ "response_format": { "type": "object" } }), true, Some("`response_format`")),
            (json!({ "response_modalities": ["text"] }), true, Some("`response_mime_type` or `response_modalities`")),
            (function, true, Some("`tools`")),
            (
                json!({ "generation_config": { "stop_sequences": ["x"] } }),
                true,
                Some("`generation_config.stop_sequences`"),
            ),
        ] {
            assert_eq!(check_of(&more, draws, true).as_deref(), refused, "{more}");
        }
    }

    #[test]
    fn a_model_without_words_refuses_them_where_they_are_no_hint() {
        let both = json!({ "response_format": [{ "type": "text" }, { "type": "image" }] });
        assert_eq!(check_of(&both, true, false).as_deref(), Some("`response_format`"));
        assert_eq!(check_of(&json!({ "response_modalities": ["text", "image"] }), true, false), None);
    }
}
