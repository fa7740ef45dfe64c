//! One event loop per worker thread, driving sans-io protocol machines. Written once; the byte-speed ports run on it.
#![forbid(unsafe_code)]
