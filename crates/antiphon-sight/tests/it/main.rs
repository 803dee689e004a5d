//! What becomes of pictures, good and hostile; no networks are needed.

mod hostile;
mod picture;
