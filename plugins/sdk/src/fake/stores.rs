//! The credential stores that a plugin can reach, in memory: the keychain and the helpers.

use super::system::{FakeSystem, bytes_of};
use crate::system::{Helper, Keychain, Login, Refusal, Secret};

impl Keychain for FakeSystem {
    fn item(&self, service: &str, account: &str) -> Result<Option<Login>, Refusal> {
        self.call(format!("keychain {service} {account}"))?;
        Ok(self.item_of(service, account).map(login))
    }

    fn put_item(&self, service: &str, account: &str, item: Login) -> Result<(), Refusal> {
        self.call(format!("keychain {service} {account}"))?;
        self.items.borrow_mut().insert(
            (service.to_owned(), account.to_owned()),
            (item.username, bytes_of(&item.secret)),
        );
        Ok(())
    }

    fn remove_item(&self, service: &str, account: &str) -> Result<bool, Refusal> {
        self.call(format!("keychain {service} {account}"))?;
        let mut items = self.items.borrow_mut();
        Ok(items
            .remove(&(service.to_owned(), account.to_owned()))
            .is_some())
    }
}

impl Helper for FakeSystem {
    fn helper_login(&self, name: &str, server: &str) -> Result<Option<Login>, Refusal> {
        self.call(format!("helper {name} get {server}"))?;
        Ok(self.helper_of(name, server).map(login))
    }

    fn helper_store(&self, name: &str, server: &str, login: Login) -> Result<(), Refusal> {
        self.call(format!("helper {name} store {server}"))?;
        self.logins.borrow_mut().insert(
            (name.to_owned(), server.to_owned()),
            (login.username, bytes_of(&login.secret)),
        );
        Ok(())
    }

    fn helper_erase(&self, name: &str, server: &str) -> Result<(), Refusal> {
        self.call(format!("helper {name} erase {server}"))?;
        let mut logins = self.logins.borrow_mut();
        logins.remove(&(name.to_owned(), server.to_owned()));
        Ok(())
    }

    fn helper_list(&self, name: &str) -> Result<Vec<(String, String)>, Refusal> {
        self.call(format!("helper {name} list"))?;
        let logins = self.logins.borrow();
        Ok(logins
            .iter()
            .filter(|((helper, _), _)| helper == name)
            .map(|((_, server), (username, _))| (server.clone(), username.clone()))
            .collect())
    }
}

fn login((username, secret): (String, Vec<u8>)) -> Login {
    Login {
        username,
        secret: Secret::new(secret),
    }
}
