//! One model after another.

use std::sync::Arc;

use antiphon_engine::Backend;

/// The backend that asks the first of its models, and the next when that one cannot answer.
pub struct Fallbacks {
    links: Vec<(String, Arc<dyn Backend>)>,
}
