//! Chain IDs: names of a layer together with all below it.

use crate::digest::Digest;

/// Returns the chain ID of a layer over others. Source: OCI image-spec, `config.md`, "Layer
/// `ChainID`".
pub fn chain_id(below: Option<&Digest>, diff_id: &Digest) -> Digest {
    match below {
        None => diff_id.clone(),
        Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_id_of_the_bottom_layer_is_its_diff_id() {
        let bottom = Digest::of(b"bottom");
        assert_eq!(chain_id(None, &bottom), bottom);
    }

    #[test]
    fn a_chain_id_names_the_layer_and_all_below_it() {
        let (bottom, top) = (Digest::of(b"bottom"), Digest::of(b"top"));
        let expected = Digest::of(format!("{bottom} {top}").as_bytes());
        assert_eq!(chain_id(Some(&bottom), &top), expected);
    }
}
