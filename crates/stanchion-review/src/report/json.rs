//! For programs: the review as it is.

use crate::review::Review;

/// The review as JSON; fields are added over time, none is renamed.
///
/// # Errors
/// None that a review can cause; the serialiser's signature has one.
pub fn json(review: &Review) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(review)? + "\n")
}
