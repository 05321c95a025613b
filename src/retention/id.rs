//! Names of holds and dispositions.

use std::str::FromStr;

use crate::oci::checked_text;

/// A kind of id: a prefix and a ULID in lower case, so that ids sort by when they were made.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $error:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        #[doc = concat!("Why a text is not ", $what, ".")]
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[error("{} is {} and a ULID in lower case", $what, $prefix)]
        pub struct $error;

        impl $name {
            /// A new one, unlike every other.
            pub fn generate() -> Self {
                Self(format!("{}{}", $prefix, ulid::Ulid::generate().to_string().to_lowercase()).into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                let ulid = text.strip_prefix($prefix).ok_or($error)?;
                let parsed: ulid::Ulid = ulid.parse().map_err(|_| $error)?;
                // Only the one spelling: ULIDs are read in any case, and some letters stand for others.
                let is_canonical = parsed.to_string().to_lowercase() == ulid;
                if is_canonical { Ok(Self(text.into())) } else { Err($error) }
            }
        }

        checked_text!($name, $what);
    };
}

pub(crate) use id as named_id;

id! {
    /// Names a hold among all holds of all registries.
    HoldId, HoldIdError, "hold_", "a hold id"
}

id! {
    /// Names a disposition among all dispositions of all registries.
    DispositionId, DispositionIdError, "disp_", "a disposition id"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = HoldId::generate();
        assert_eq!(id.as_str().parse::<HoldId>(), Ok(id.clone()));
        assert!(id.as_str().to_uppercase().parse::<HoldId>().is_err());
        assert!(id.as_str().parse::<DispositionId>().is_err());
        assert!("hold_".parse::<HoldId>().is_err());
    }
}
