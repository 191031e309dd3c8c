//! A DNS host that is a shell script and a folder of values, and does badly what it is told to do badly.

use std::path::PathBuf;

use crate::bridge::Bridge;
use crate::home::{Home, dns, list};

/// One value a file; `trouble` says what the script does, after it has done its work: `VERB crash`, say.
const SCRIPT: &str = r#"
line=$(cat)
value=$(printf '%s' "$line" | sed 's/.*"value":"\([^"]*\)".*/\1/')
printf '%s\n' "$line" >>"$FOLDER/said"
case "$1" in
    present) : >"$FOLDER/values/$value" ;;
    withdraw) case "$(cat "$FOLDER/trouble")" in withdraw*) ;; *) rm -f "$FOLDER/values/$value" ;; esac ;;
esac
case "$1 $(cat "$FOLDER/trouble")" in
    "present present crash" | "withdraw withdraw crash") kill -9 $$ ;;
    "present present hang" | "withdraw withdraw hang") sleep 600 ;;
    "present present flood" | "withdraw withdraw flood") head -c 10000000 /dev/zero | tr '\0' x >&2; exit 75 ;;
    "withdraw withdraw expired") echo 'the key has expired' >&2; exit 77 ;;
esac
"#;

/// The host, and the name server that shows its values.
pub struct ExecHost {
    folder: PathBuf,
    /// Resolver and authoritative server in one.
    pub bridge: Bridge,
}

impl ExecHost {
    /// A host of this zone, in the folder of a daemon.
    pub async fn start(home: &Home, zone: &str) -> Self {
        let folder = home.file("host");
        std::fs::create_dir_all(folder.join("values")).unwrap();
        home.write("host/hook.sh", SCRIPT);
        home.write("host/trouble", "");
        let shown = folder.clone();
        let bridge = Bridge::start(zone, None, move |name| {
            if name.starts_with("_acme-challenge.") { files(&shown.join("values")) } else { Vec::new() }
        })
        .await;
        Self { folder, bridge }
    }

    /// The DNS instance `host`; a run of the script may take two seconds.
    pub fn instance(&self, zone: &str) -> String {
        let command = list(&["/bin/sh".to_owned(), self.folder.join("hook.sh").display().to_string()]);
        let settings = format!(
            "command = {command}\ntimeout = \"2s\"\nenvironment = {{ FOLDER = \"{}\" }}\n",
            self.folder.display()
        );
        dns("host", &[zone], "exec", &settings)
    }

    /// From now on it does this badly: `present crash`, `withdraw hang`; nothing: it works.
    pub fn trouble(&self, what: &str) {
        let beside = self.folder.join("trouble.new");
        std::fs::write(&beside, what).unwrap();
        std::fs::rename(beside, self.folder.join("trouble")).unwrap();
    }

    /// The values that stand.
    pub fn values(&self) -> Vec<String> {
        files(&self.folder.join("values"))
    }

    /// Every line that the script was given.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("said")).unwrap_or_default()
    }
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
