//! How a command ends when it does not succeed.

use std::{
    io::{self, ErrorKind, IsTerminal},
    process::ExitCode,
};

use crate::{
    control::{api::Refusal, bind::BindError, client::ClientError},
    view::row,
};

/// An end that is not plain success: an exit code and what to say on stderr.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// Exit 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            message: message.into(),
        }
    }

    /// Exit 2: the command line does not make sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            code: 2,
            message: message.into(),
        }
    }

    /// Exit 4: more rights are needed.
    pub fn permission(message: impl Into<String>) -> Self {
        Self {
            code: 4,
            message: message.into(),
        }
    }

    /// Exit 1: policies were refused, each for its reason.
    pub fn refused(reason: &str, refusals: &[Refusal]) -> Self {
        let mut message = reason.to_owned();
        for refusal in refusals {
            message.push('\n');
            message.push_str(row::refusal(refusal).trim_end());
        }
        Self::failed(message)
    }

    /// Exit 0 at once: whoever read stdout has gone.
    pub fn closed_pipe() -> Self {
        Self {
            code: 0,
            message: String::new(),
        }
    }

    /// Exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// Says it on stderr and gives the exit code.
    pub fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            let (red, plain) = match super::out::color(io::stderr().is_terminal()) {
                true => ("\u{1b}[31m", "\u{1b}[0m"),
                false => ("", ""),
            };
            super::out::say(&format!("{red}weir:{plain} {}", self.message.trim_end()));
        }
        ExitCode::from(self.code)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Unreachable { .. } | ClientError::Protocol { .. } => 3,
            ClientError::Permission { .. } => 4,
            ClientError::Refused(_) => 1,
        };
        match &error {
            ClientError::Refused(refused) if !refused.refusals.is_empty() => {
                Self::refused(&refused.reason, &refused.refusals)
            }
            _ => Self {
                code,
                message: error.to_string(),
            },
        }
    }
}

impl From<anyhow::Error> for Failure {
    /// Exit 4 where the system refused for lack of rights, else 1.
    fn from(error: anyhow::Error) -> Self {
        let permission = error.chain().any(|cause| {
            let bind = cause.downcast_ref::<BindError>();
            let io = cause.downcast_ref::<io::Error>();
            bind.is_some_and(BindError::is_permission)
                || io.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
        });
        Self {
            code: if permission { 4 } else { 1 },
            message: format!("{error:#}"),
        }
    }
}

/// Errors of writing to stdout.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::closed_pipe(),
            _ => Self::failed(format!("cannot write the output: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::wire::{Code, WireError};

    #[test]
    fn each_kind_of_failure_has_its_code() {
        let path = "/run/weir/weir.sock".into();
        let unreachable = ClientError::Unreachable {
            path,
            why: "there is no such socket".into(),
        };
        let refused = ClientError::Refused(WireError::new(Code::NotFound, "no", "look"));
        let denied = anyhow::Error::new(io::Error::from(ErrorKind::PermissionDenied));
        for (failure, code) in [
            (Failure::from(unreachable), 3),
            (Failure::from(refused), 1),
            (Failure::from(denied.context("open the map")), 4),
            (Failure::from(anyhow::anyhow!("no")), 1),
            (Failure::from(io::Error::from(ErrorKind::BrokenPipe)), 0),
            (Failure::from(io::Error::from(ErrorKind::StorageFull)), 1),
        ] {
            assert_eq!(failure.code(), code, "{failure:?}");
        }
    }
}
