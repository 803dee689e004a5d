//! What tests are made with: the store's contract, and doubles for what the engine
//! reaches through traits.
//!
//! * [`store_contract!`]: every law of a store as a test of its own.
//! * [`MemoryStore`]: a store of plain maps, the model that others are compared with.
//! * [`FixedAmbient`]: time and chance that are the same in every run.
//! * [`KeptBytes`]: bytes of a medium that are not in memory, in memory.
//! * [`FixedPerceiver`]: reads of media what their bytes say.
//! * [`FixedTools`]: tools of the server that always do the same.
//! * [`sample`]: interactions, events and steps to fill a store with.

mod fixed_ambient;
mod kept_bytes;
mod memory_store;
mod perceiver;
pub mod sample;
pub mod store_contract;
mod tools;

pub use fixed_ambient::FixedAmbient;
pub use kept_bytes::KeptBytes;
pub use memory_store::MemoryStore;
pub use perceiver::FixedPerceiver;
pub use tools::FixedTools;
