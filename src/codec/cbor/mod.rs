//! stand-in
use serde::{Serialize, de::DeserializeOwned};
/// e
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);
/// e
pub fn to_vec<T: Serialize + ?Sized>(v: &T) -> Result<Vec<u8>, Error> {
    fn sort(v: ciborium::Value) -> ciborium::Value {
        match v {
            ciborium::Value::Map(m) => {
                let mut m: Vec<_> = m.into_iter().map(|(k, v)| (k, sort(v))).collect();
                m.sort_by_key(|(k, _)| {
                    let t = k.as_text().unwrap_or("").to_owned();
                    (t.len(), t)
                });
                ciborium::Value::Map(m)
            }
            ciborium::Value::Array(a) => ciborium::Value::Array(a.into_iter().map(sort).collect()),
            o => o,
        }
    }
    let v = sort(ciborium::Value::serialized(v).map_err(|e| Error(e.to_string()))?);
    let mut out = Vec::new();
    ciborium::into_writer(&v, &mut out).map_err(|e| Error(e.to_string()))?;
    Ok(out)
}
/// d
pub fn from_slice<T: DeserializeOwned>(b: &[u8]) -> Result<T, Error> {
    ciborium::from_reader(b).map_err(|e| Error(e.to_string()))
}
