//! What a document is made of, as far as anybody reads it.

/// What may stand at a place of a document.
#[derive(Debug)]
pub enum Shape {
    /// A text.
    Text,
    /// A whole number of 64 bits.
    Number,
    /// Anything, which is kept as it is.
    Any,
    /// Anything, of which only the presence matters; kept as `true`.
    Presence,
    /// Anything, of which nothing is kept.
    Unread,
    /// A list.
    List(&'static Shape),
    /// An object whose keys are of the author's choosing, such as labels: upper and lower case
    /// differ.
    Map(&'static Shape),
    /// An object whose keys are these fields, in whatever case. Others are not kept.
    Record(&'static [(&'static str, Shape)]),
    /// The shape, or something else, which counts as absent.
    Perhaps(&'static Shape),
}

impl Shape {
    /// Returns what has to stand here, in words.
    pub(crate) fn expected(&self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a whole number",
            Self::Any | Self::Presence | Self::Unread => "a value",
            Self::List(_) => "a list",
            Self::Map(_) | Self::Record(_) => "an object",
            Self::Perhaps(shape) => shape.expected(),
        }
    }

    /// Returns whether something of another kind counts as absent.
    pub(crate) fn is_lenient(&self) -> bool {
        matches!(self, Self::Perhaps(_))
    }
}
