//! The rules reader: any text is rules or a refusal with a place inside the text, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quintet_tree::rules::Rules;

fuzz_target!(|input: &str| {
    let documents = [
        input.to_owned(),
        serde_json::json!({"rules": {"$a": {".write": input}}}).to_string(),
    ];
    for document in documents {
        if let Err(error) = Rules::parse(&document) {
            assert!(error.line >= 1 && error.line <= document.matches('\n').count() + 1);
            assert!(error.column >= 1 && error.column <= document.chars().count() + 1);
            assert!(!error.message.is_empty());
        }
    }
});
