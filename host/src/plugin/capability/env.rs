//! Variables of the environment: permission `env`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use wasmtime::component::Resource;

use super::secret::Value;
use crate::plugin::bindings::msb::plugin::{env, types::Refusal};
use crate::plugin::grant::Capability;
use crate::plugin::guest::Guest;
use crate::plugin::kept_answers::Input;

impl env::Host for Guest {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<Option<Resource<Value>>, Refusal>> {
        self.host(|guest| {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Ok(Err(Refusal::Invalid(format!(
                    "`{name}` is not the name of a variable"
                ))));
            }
            let configured = guest.access.configured_variable();
            if !guest.access.grants.allow_env(&name, configured) {
                return Ok(Err(guest.denied(Capability::Env, Some(&name))));
            }
            let value = guest.access.environment.get(&name).map(OsString::into_vec);
            guest.note_input(Input::variable(&name, value.as_deref()));
            match value {
                None => Ok(Ok(None)),
                Some(value) => Ok(Ok(Some(guest.keep(Value::new(value))?))),
            }
        })?
    }
}
