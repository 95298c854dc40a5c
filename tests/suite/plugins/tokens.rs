//! Providers that get a token for a key, without ever reading key or token: the servers here check
//! what was signed, as those of AWS, GitHub, Google and Vault do, and answer nothing else.

mod signatures;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

pub(super) use self::signatures::key_pair;
use self::signatures::{aws_signature, verified};
use super::{component, row};
use crate::archive::Image;
use crate::env::{Run, TestEnv};
use crate::faulty::Registry;
use crate::faulty::http::Request;
use crate::plugins::examples::vault::Vault;
use crate::tests;

tests! {
    ecr_is_pulled_from_with_a_request_that_is_signed;
    ghcr_is_pulled_from_with_a_claim_of_a_github_app needs Openssl;
    artifact_registry_is_pulled_from_with_a_claim_of_a_service_account needs Openssl;
    a_secrets_server_is_opened_by_a_role_whose_secret_is_in_a_body;
    a_grant_with_a_path_is_for_no_other_path;
}

/// The key of AWS, the password of the registry: nothing that msb prints has them.
const KEY: &str = "secret/key+of=aws";
const PASSWORD: &str = "secret:password";

/// A registry that lets one login in, and a home with the plugin that finds it.
struct Scene {
    env: TestEnv,
    registry: Registry,
}

impl Scene {
    fn new(user: &str) -> Self {
        let registry = Registry::start();
        registry.put_image("app", "1", &Image::new("", &["etc/\netc/hosts = here"]));
        registry.challenge(&[r#"Basic realm="tests""#], None);
        registry.accept_password(&STANDARD.encode(format!("{user}:{PASSWORD}")));
        let env = TestEnv::new();
        Self { env, registry }
    }

    /// Installs the plugin, which may do what is granted here and read nothing.
    fn install(&self, plugin: &str, settings: &Value, grants: &[String]) {
        let settings = json!({"plugins": {"settings": {plugin: settings}}});
        self.env.write_settings(settings);
        let path = component(plugin);
        let mut command = self.env.command(["plugin", "install"]);
        command.arg(path);
        for grant in grants {
            command.args(["--grant", grant]);
        }
        Run::of(&mut command).success();
        let row = row(&self.env, plugin).to_string();
        assert!(!row.contains("reveal"), "{row}");
    }

    fn pull(&self, variables: &[(&str, &str)]) -> Run {
        let image = format!("{}/app:1", self.registry.host());
        let mut command = self.env.command(["--trace", "pull", "--force", &image]);
        command.envs(variables.iter().copied());
        let run = Run::of(&mut command);
        // One of the providers of msb has a name that begins like the secrets.
        let shown = format!("{}{}", run.stdout, run.stderr).replace("secret-file", "");
        for secret in [KEY, PASSWORD, "secret-", "PRIVATE"] {
            assert!(!shown.contains(secret), "{secret} in {run:#?}");
        }
        run
    }
}

fn ecr_is_pulled_from_with_a_request_that_is_signed() {
    let answer = |request: &Request| {
        let authorization = request.header("authorization").unwrap_or_default();
        let date = request.header("x-amz-date").unwrap_or_default();
        let scope = format!("{}/eu-west-1/ecr/aws4_request", &date[..8]);
        let names = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target";
        let right = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, Signature={}",
            aws_signature(request, names, &scope)
        );
        if authorization != right
            || request.header("x-amz-security-token") != Some("secret-session")
        {
            return (403, json!({"message": authorization}));
        }
        let token = STANDARD.encode(format!("AWS:{PASSWORD}"));
        (
            200,
            json!({"authorizationData": [{"authorizationToken": token}]}),
        )
    };
    let server = Vault::serving(answer);
    let scene = Scene::new("AWS");
    let settings = json!({
        "registries": {scene.registry.host(): "eu-west-1"},
        "endpoint": format!("http://{}/", server.address),
    });
    let grants = [
        "env=AWS_ACCESS_KEY_ID".to_owned(),
        "env=AWS_SECRET_ACCESS_KEY".to_owned(),
        "env=AWS_SESSION_TOKEN".to_owned(),
        format!("http=POST@http://{}/", server.address),
        "clock".to_owned(),
        "state".to_owned(),
    ];
    scene.install("ecr", &settings, &grants);
    let keys = |key| {
        [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", key),
            ("AWS_SESSION_TOKEN", "secret-session"),
        ]
    };
    scene
        .pull(&keys("secret-other-key"))
        .failure(&["AWS does not take the keys"]);
    scene.pull(&keys(KEY)).success();
    // The login is kept for these keys, and for no others.
    scene.pull(&keys(KEY)).success();
    assert_eq!(server.asked().len(), 2);
    scene
        .pull(&keys("secret-other-key"))
        .failure(&["AWS does not take the keys"]);
    // One that the registry does not take is not used again.
    scene.registry.challenge(&[r#"Basic realm="tests""#], None);
    scene
        .registry
        .accept_password(&STANDARD.encode("AWS:another"));
    scene.pull(&keys(KEY)).failure(&[]);
    assert_eq!(server.asked().len(), 4);
    let kept = scene.env.home().join("cache/plugins/ecr.state");
    let bytes = std::fs::read(&kept).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"secret"));
    scene.env.msb("plugin rm ecr").success();
    assert!(!kept.exists());
}

fn ghcr_is_pulled_from_with_a_claim_of_a_github_app() {
    let scene = Scene::new("x-access-token");
    key_pair(&scene.env);
    let keys = TestEnv::new();
    std::fs::copy(scene.env.path("public.pem"), keys.path("public.pem")).unwrap();
    let server = Vault::serving(move |request| {
        let bearer = request.header("authorization").unwrap_or_default();
        let token = bearer.strip_prefix("Bearer ").unwrap_or_default();
        match verified(&keys, "public.pem", token) {
            Some(claims)
                if claims["iss"] == "7"
                    && request.path == "/app/installations/42/access_tokens" =>
            {
                let lives = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
                assert_eq!(lives, 600);
                (
                    201,
                    json!({"token": PASSWORD, "expires_at": "2030-01-01T00:00:00Z"}),
                )
            }
            _ => (
                401,
                json!({"message": "A JSON web token could not be decoded"}),
            ),
        }
    });
    let key = scene.env.path("key.pem");
    let settings = json!({
        "app": 7, "installation": 42, "key_file": key,
        "registries": [scene.registry.host()],
        "api": format!("http://{}", server.address),
    });
    let grants = [
        format!("files={}", key.display()),
        format!("http=POST@http://{}/app/installations/", server.address),
        "clock".to_owned(),
    ];
    scene.install("github-app", &settings, &grants);
    scene.pull(&[]).success();
    let other = TestEnv::new();
    key_pair(&other);
    std::fs::copy(other.path("key.pem"), &key).unwrap();
    scene
        .pull(&[])
        .failure(&["GitHub gives the App no token (status 401)"]);
    std::fs::write(&key, "secret-that-is-no-key").unwrap();
    scene
        .pull(&[])
        .failure(&["the key is not a private key in PEM"]);
}

fn artifact_registry_is_pulled_from_with_a_claim_of_a_service_account() {
    let scene = Scene::new("oauth2accesstoken");
    let key = key_pair(&scene.env);
    let keys = TestEnv::new();
    std::fs::copy(scene.env.path("public.pem"), keys.path("public.pem")).unwrap();
    let server = Vault::serving(move |request| {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let token = form.strip_prefix(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=",
        );
        match token.and_then(|token| verified(&keys, "public.pem", token)) {
            Some(claims) if claims["iss"] == "robot\"1@example.com" => {
                assert!(
                    claims["aud"].as_str().unwrap().ends_with("/token"),
                    "{claims}"
                );
                let token =
                    json!({"access_token": PASSWORD, "expires_in": 3599, "token_type": "Bearer"});
                (200, token)
            }
            _ => (400, json!({"error": "invalid_grant", "assertion": token})),
        }
    });
    let file = json!({
        "type": "service_account", "private_key": key, "client_email": "robot\"1@example.com",
    });
    let path = scene.env.write("key.json", file.to_string().as_bytes());
    let url = format!("http://{}/token", server.address);
    let settings = json!({"registries": [scene.registry.host()], "token_url": url});
    let grants = [
        "files=$GOOGLE_APPLICATION_CREDENTIALS".to_owned(),
        format!("http=POST@{url}"),
        "clock".to_owned(),
    ];
    scene.install("gcp", &settings, &grants);
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())];
    scene.pull(&variables).success();
    let other = json!({"private_key": key, "client_email": "else@example.com"});
    std::fs::write(&path, other.to_string()).unwrap();
    scene
        .pull(&variables)
        .failure(&["Google does not take the key (status 400)"]);
    std::fs::write(&path, "{}").unwrap();
    scene
        .pull(&variables)
        .failure(&["it has no `/private_key`"]);
}

/// A secrets server that a role with a quote in its secret opens.
fn vault() -> Vault {
    Vault::serving(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/auth/approle/login")
                if body == json!({"role_id": "role", "secret_id": "secret-\"id\"\\"}) =>
            {
                (200, json!({"auth": {"client_token": "hvs.secret-token"}}))
            }
            ("GET", "/v1/secret/data/app")
                if request.header("x-vault-token") == Some("hvs.secret-token") =>
            {
                let fields = json!({"username": "ann", "password": PASSWORD});
                (200, json!({"data": {"data": fields}}))
            }
            _ => (403, json!({"errors": [body]})),
        }
    })
}

const ROLE: [(&str, &str); 2] = [
    ("VAULT_ROLE_ID", "role"),
    ("VAULT_SECRET_ID", "secret-\"id\"\\"),
];

fn a_secrets_server_is_opened_by_a_role_whose_secret_is_in_a_body() {
    let server = vault();
    let scene = Scene::new("ann");
    install_approle(&scene, &server, "secret/data/app");
    scene.pull(&ROLE).success();
    scene
        .pull(&[ROLE[0], ("VAULT_SECRET_ID", "secret-other")])
        .failure(&["does not let this role in (status 403)"]);
}

fn install_approle(scene: &Scene, server: &Vault, path: &str) {
    let settings = json!({
        "address": format!("http://{}", server.address),
        "registries": {scene.registry.host(): path},
    });
    let grants = [
        "env=VAULT_ROLE_ID".to_owned(),
        "env=VAULT_SECRET_ID".to_owned(),
        format!("http=POST@http://{}/v1/auth/approle/login", server.address),
        format!("http=GET@http://{}/v1/secret/data/", server.address),
    ];
    scene.install("vault-approle", &settings, &grants);
}

fn a_grant_with_a_path_is_for_no_other_path() {
    for path in [
        "secret/other",
        "secret/data/../../sys/seal",
        "secret/data/%2e%2e/%2e%2e/sys",
    ] {
        let server = vault();
        let scene = Scene::new("ann");
        install_approle(&scene, &server, path);
        let grant = format!("http=GET@http://{}", server.address);
        scene.pull(&ROLE).failure(&["has no permission", &grant]);
        assert_eq!(server.asked().len(), 1, "{path}");
    }
}
