//! The vocabulary of the OCI specifications: names, digests, ranges, manifests, error codes.
//!
//! Text from a client becomes one of these types at the edge, once; a value of such a type is proof that
//! it was checked. Every other module uses them; this one knows none of the others, does no I/O, is not
//! async and never panics on what a client sent.
//!
//! | file | what | specification |
//! |---|---|---|
//! | [`digest`] | [`Algorithm`], [`Digest`], [`ContentAddress`] | image-spec `descriptor.md` "Digests" |
//! | [`name`] | [`RepositoryName`], [`Tag`] | distribution-spec "Pulling manifests" |
//! | [`mod@reference`] | [`Reference`]: a tag or a digest | the same |
//! | [`upload`] | [`UploadId`] | distribution-spec "Pushing blobs" |
//! | [`range`] | [`ContentRange`], [`RangeHeader`] | distribution-spec "Pushing a blob in chunks", RFC 9110 §14 |
//! | [`media`] | media type constants | image-spec `media-types.md` |
//! | [`descriptor`], [`manifest`] | [`Descriptor`], [`Manifest`] | image-spec `manifest.md`, `image-index.md` |
//! | [`referrer`] | the referrers index, the fallback tag | distribution-spec "Listing Referrers" |
//! | [`error`] | [`ErrorCode`], [`ErrorBody`] | distribution-spec "Error Codes" |

pub mod descriptor;
pub mod digest;
pub mod error;
pub mod manifest;
pub mod media;
pub mod name;
pub mod range;
pub mod reference;
pub mod referrer;
mod text;
pub mod upload;

pub use descriptor::Descriptor;
pub use digest::{Algorithm, ContentAddress, Digest, DigestError};
pub use error::{ErrorBody, ErrorCode};
pub use manifest::{Kind, Manifest, ManifestError};
pub use name::{NameError, RepositoryName, Tag, TagError};
pub use range::{
    ContentRange, ContentRangeError, RangeHeader, RangeRequest, received_range, received_range_status,
};
pub use reference::{Reference, ReferenceError};
pub use referrer::ReferrerDescriptor;
pub(crate) use text::{checked_text, excerpt};
pub use upload::{UploadId, UploadIdError};
