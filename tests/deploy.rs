//! Deploy commands as real programs, and looks at what real servers serve.

#[path = "peers/peers.rs"]
mod peers;

mod deploy {
    mod commands;
    mod issued;
    mod looks;
    mod s_server;
    mod starttls;
}
