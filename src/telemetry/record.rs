//! What is known of a request at its end. Whoever counts, logs or draws requests begins here.

use super::Phases;

/// One request, from its first byte to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// When it got how far.
    pub phases: Phases,
    /// When it ended, however it did, in nanoseconds of the shard's clock.
    pub at: u64,
    /// Index into the routes of the plan that it began with; `None`: none was found, or looked for.
    pub route: Option<u32>,
    /// The server that it was tried on last.
    pub server: Option<ServerAt>,
    /// Status of the final response, from when that went out on; 0: there was none.
    pub status: u16,
    /// How it ended.
    pub end: End,
    /// The answer was one of our own.
    pub own: bool,
    /// Its method.
    pub method: Method,
    /// How often a server was asked, or a connection to one was tried.
    pub attempts: u16,
    /// Bytes of its body that came from the client, without their framing.
    pub from_client: u64,
    /// Bytes of the response's body that went to the client, likewise; not those of a tunnel.
    pub to_client: u64,
}

impl Record {
    /// Its phases: of a request that did not come to its end, the one that was under way lasted
    /// until it was given up. Else a server that hangs until its clients leave would look quick.
    pub fn lasted(&self) -> Phases {
        let mut phases = self.phases;
        if phases.ended == 0 && phases.started != 0 {
            phases.ended = self.at;
            let Phases { head, leased, connected, first_byte, .. } = &mut phases;
            let under_way = [head, leased, connected, first_byte].into_iter().find(|at| **at == 0);
            if let Some(moment) = under_way {
                *moment = self.at;
            }
        }
        phases
    }
}

/// Where a server stands in the plan that a request began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerAt {
    /// Index of its upstream.
    pub upstream: u32,
    /// Its index among the upstream's servers.
    pub index: u32,
    /// Its number, which it keeps from plan to plan.
    pub id: u32,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The client has the whole response, as far as we know. A tunnel has begun.
    #[default]
    Answered,
    /// The client went away before that.
    ClientLeft,
    /// The server broke off its response, which the client has a part of.
    CutShort,
    /// The process ended before that. Its status is 503 if there was none.
    CutOff,
}

/// Methods, as far as they are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// Any other, or none that could be read.
    #[default]
    Other,
}

impl Method {
    /// All.
    pub const ALL: [Method; 8] = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Patch,
        Method::Delete,
        Method::Options,
        Method::Other,
    ];

    /// The method of this name (RFC 9110 §9.1: the case matters).
    pub fn of(name: &str) -> Method {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }

    /// Its name; `other` for the rest.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other => "other",
        }
    }
}

/// The first digit of a status, or that there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StatusClass {
    /// The client went away before there was an answer.
    None,
    /// 1xx: a tunnel.
    Informational,
    /// 2xx
    Successful,
    /// 3xx
    Redirection,
    /// 4xx
    ClientError,
    /// 5xx, and what lies beyond.
    ServerError,
}

impl StatusClass {
    /// All.
    pub const ALL: [StatusClass; 6] = [
        StatusClass::None,
        StatusClass::Informational,
        StatusClass::Successful,
        StatusClass::Redirection,
        StatusClass::ClientError,
        StatusClass::ServerError,
    ];

    /// That of a status; 0: there was none.
    pub fn of(status: u16) -> StatusClass {
        match status {
            0..100 => StatusClass::None,
            100..200 => StatusClass::Informational,
            200..300 => StatusClass::Successful,
            300..400 => StatusClass::Redirection,
            400..500 => StatusClass::ClientError,
            500.. => StatusClass::ServerError,
        }
    }

    /// As reports name it.
    pub fn name(self) -> &'static str {
        match self {
            StatusClass::None => "aborted",
            StatusClass::Informational => "1xx",
            StatusClass::Successful => "2xx",
            StatusClass::Redirection => "3xx",
            StatusClass::ClientError => "4xx",
            StatusClass::ServerError => "5xx",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_lasted_until_then() {
        let waiting = Phases { started: 1, head: 2, leased: 3, connected: 4, ..Phases::default() };
        let left = Record { phases: waiting, at: 9, end: End::ClientLeft, ..Record::default() };
        assert_eq!(left.lasted(), Phases { first_byte: 9, ended: 9, ..waiting });
        let queued = Phases { leased: 0, connected: 0, ..waiting };
        let left = Record { phases: queued, ..left };
        assert_eq!(left.lasted(), Phases { leased: 9, ended: 9, ..queued });
        let cut = Phases { first_byte: 6, ..waiting };
        let left = Record { phases: cut, end: End::CutShort, ..left };
        assert_eq!(left.lasted(), Phases { ended: 9, ..cut });
        // An answer of our own has no server's first byte.
        let own = Phases { started: 1, head: 2, ended: 3, ..Phases::default() };
        assert_eq!(Record { phases: own, ..left }.lasted(), own);
        assert_eq!(Record::default().lasted(), Phases::default());
    }

    #[test]
    fn classes_have_the_numbers_of_their_places() {
        for (index, method) in Method::ALL.into_iter().enumerate() {
            assert_eq!(method as usize, index);
            let named = Method::of(method.name());
            assert_eq!(named, method);
        }
        for (index, class) in StatusClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index);
            assert_eq!(StatusClass::of(index as u16 * 100), class);
        }
        assert_eq!(Method::of("get"), Method::Other);
        assert_eq!(StatusClass::of(999), StatusClass::ServerError);
    }
}
