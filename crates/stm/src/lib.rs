//! Software transactional memory with an isolation slider: whoever validates at commit may touch the data.
//!
//! This crate will hold the transactions and the workflows on them. It is empty until that stands.
#![forbid(unsafe_code)]
