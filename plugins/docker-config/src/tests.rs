//! What other programs write and what msb makes of it.
