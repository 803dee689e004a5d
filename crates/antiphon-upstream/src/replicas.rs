//! Which of several addresses a call goes to.
