//! One request and its response: what each event leads to.
//!
//! Two small machines, one for each body, that only go forward, and a verdict for each of the two
//! connections at the end. What a response head leads to stands in one table, [`body_out`].

use super::framing::{RequestFraming, ResponseFraming};
use super::{BodyOut, Fault, Refusal, RequestFacts, ResponseFacts, Version};

/// The state of one exchange.
#[derive(Clone, Debug)]
pub struct Exchange {
    request: RequestFacts,
    client_version: Version,
    /// The client's connection ends with this exchange, whatever the client wishes.
    draining: bool,
    request_ended: bool,
    /// A 100 came: the client knows that it is to send its body.
    continued: bool,
    response: Response,
    /// The client was told that its connection stays.
    client_stays: bool,
    /// The server said that its connection stays.
    server_stays: bool,
}

/// How far the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Response {
    /// No final head yet.
    Awaited,
    /// Head came, body under way.
    Body,
    /// Complete.
    Ended,
    /// 101: both connections belong to another protocol from here on.
    Tunnel,
}

/// What to do with a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseStep {
    /// A 1xx; the final head is still to come.
    Interim {
        /// Send it on to the client.
        forward: bool,
    },
    /// A 101 that was asked for: send it on, then relay both ways.
    Tunnel,
    /// The final head.
    Final {
        /// How the server delimits the body.
        body_in: ResponseFraming,
        /// How the client gets it.
        body_out: BodyOut,
        /// Whether to tell the client that its connection stays.
        keep_alive: bool,
    },
}

impl Exchange {
    /// The exchange that this request begins. `draining`: the client's connection is to end with
    /// it.
    pub fn new(request: RequestFacts, client_version: Version, draining: bool) -> Self {
        Exchange {
            request,
            client_version,
            draining,
            request_ended: request.framing == RequestFraming::None,
            continued: false,
            response: Response::Awaited,
            client_stays: false,
            server_stays: false,
        }
    }

    /// A response head arrived.
    pub fn response(&mut self, facts: &ResponseFacts) -> Result<ResponseStep, Refusal> {
        match (self.response, facts.status) {
            (Response::Awaited, 101) => self.switching(facts),
            (Response::Awaited, 100..=199) => Ok(self.interim(facts)),
            (Response::Awaited, _) => Ok(self.final_head(facts)),
            _ => Err(Fault::ResponseUnasked.into()),
        }
    }

    /// The last byte of the request's body was forwarded.
    pub fn request_body_ended(&mut self) {
        self.request_ended = true;
    }

    /// The last byte of the response's body was forwarded.
    pub fn response_body_ended(&mut self) {
        if self.response == Response::Body {
            self.response = Response::Ended;
        }
    }

    /// The client's connection is to end with this exchange, if it was not told otherwise yet.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether the client's connection may carry another request: both bodies are complete, and
    /// the client was told so.
    pub fn client_may_continue(&self) -> bool {
        self.request_ended && self.response == Response::Ended && self.client_stays
    }

    /// Whether the server's connection may carry another request.
    pub fn upstream_reusable(&self) -> bool {
        self.request_ended && self.response == Response::Ended && self.server_stays
    }

    /// A 101 needs a request that asked and an answer that says for what (RFC 9110 §7.8).
    fn switching(&mut self, facts: &ResponseFacts) -> Result<ResponseStep, Refusal> {
        if !self.request.upgrade || !facts.upgrade {
            return Err(Fault::SwitchingUnasked.into());
        }
        self.response = Response::Tunnel;
        Ok(ResponseStep::Tunnel)
    }

    /// HTTP/1.0 has no interim responses (RFC 9110 §15.2).
    fn interim(&mut self, facts: &ResponseFacts) -> ResponseStep {
        self.continued |= facts.status == 100;
        ResponseStep::Interim { forward: self.client_version == Version::Http11 }
    }

    fn final_head(&mut self, facts: &ResponseFacts) -> ResponseStep {
        let body_in = facts.framing;
        let body_out = body_out(body_in, self.client_version);
        self.response = match body_in {
            ResponseFraming::None => Response::Ended,
            _ => Response::Body,
        };
        self.server_stays = facts.keep_alive && body_in != ResponseFraming::UntilClose;
        self.client_stays = self.request.keep_alive
            && !self.draining
            && body_out != BodyOut::UntilClose
            && (self.request_ended || self.body_may_still_arrive(facts));
        ResponseStep::Final { body_in, body_out, keep_alive: self.client_stays }
    }

    /// A final response before the end of the request's body: the rest has somewhere to go unless
    /// the server closes, and is sure to come unless the client waits for a 100 that it will not
    /// get now (RFC 9110 §10.1.1).
    fn body_may_still_arrive(&self, facts: &ResponseFacts) -> bool {
        facts.keep_alive && (self.continued || !self.request.expect_continue)
    }
}

/// RFC 9112 §6.3, §7.1: a client that speaks HTTP/1.0 knows no chunks; one that speaks HTTP/1.1
/// can be told where a body ends that the server ends by closing.
fn body_out(body_in: ResponseFraming, client: Version) -> BodyOut {
    use ResponseFraming as In;
    match (body_in, client) {
        (In::None, _) => BodyOut::None,
        (In::Length(_), _) => BodyOut::AsDeclared,
        (In::Chunked | In::UntilClose, Version::Http11) => BodyOut::Chunked,
        (In::Chunked | In::UntilClose, Version::Http10) => BodyOut::UntilClose,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: RequestFacts = RequestFacts {
        framing: RequestFraming::None,
        keep_alive: true,
        expect_continue: false,
        upgrade: false,
        is_head: false,
        idempotent: true,
    };
    const POST: RequestFacts =
        RequestFacts { framing: RequestFraming::Chunked, idempotent: false, ..GET };
    const OK: ResponseFacts = ResponseFacts {
        status: 200,
        framing: ResponseFraming::Length(5),
        keep_alive: true,
        content_length: Some(5),
        upgrade: false,
    };

    fn is_final(step: ResponseStep) -> (BodyOut, bool) {
        match step {
            ResponseStep::Final { body_out, keep_alive, .. } => (body_out, keep_alive),
            other => panic!("not final: {other:?}"),
        }
    }

    #[test]
    fn both_connections_stay() {
        let mut exchange = Exchange::new(GET, Version::Http11, false);
        assert_eq!(is_final(exchange.response(&OK).unwrap()), (BodyOut::AsDeclared, true));
        assert!(!exchange.client_may_continue() && !exchange.upstream_reusable());
        exchange.response_body_ended();
        assert!(exchange.client_may_continue() && exchange.upstream_reusable());
        assert_eq!(exchange.response(&OK).unwrap_err().fault, Fault::ResponseUnasked);
    }

    /// Framing from the server, client's version, what the client gets, and whether the client's
    /// and the server's connection stay.
    #[test]
    fn bodies() {
        use ResponseFraming as In;
        for (framing, version, body, client, server) in [
            (In::None, Version::Http11, BodyOut::None, true, true),
            (In::Length(1), Version::Http11, BodyOut::AsDeclared, true, true),
            (In::Chunked, Version::Http11, BodyOut::Chunked, true, true),
            (In::UntilClose, Version::Http11, BodyOut::Chunked, true, false),
            (In::None, Version::Http10, BodyOut::None, true, true),
            (In::Length(1), Version::Http10, BodyOut::AsDeclared, true, true),
            (In::Chunked, Version::Http10, BodyOut::UntilClose, false, true),
            (In::UntilClose, Version::Http10, BodyOut::UntilClose, false, false),
        ] {
            let mut exchange = Exchange::new(GET, version, false);
            let step = exchange.response(&ResponseFacts { framing, ..OK }).unwrap();
            assert_eq!(is_final(step), (body, client), "{framing:?} to {version:?}");
            exchange.response_body_ended();
            assert_eq!(exchange.client_may_continue(), client, "{framing:?} to {version:?}");
            assert_eq!(exchange.upstream_reusable(), server, "{framing:?} to {version:?}");
        }
    }

    #[test]
    fn connections_that_end() {
        for (request, facts, draining, client, server) in [
            (RequestFacts { keep_alive: false, ..GET }, OK, false, false, true),
            (GET, ResponseFacts { keep_alive: false, ..OK }, false, true, false),
            (GET, OK, true, false, true),
        ] {
            let mut exchange = Exchange::new(request, Version::Http11, draining);
            assert_eq!(is_final(exchange.response(&facts).unwrap()).1, client);
            exchange.response_body_ended();
            assert_eq!(
                (exchange.client_may_continue(), exchange.upstream_reusable()),
                (client, server)
            );
        }
    }

    /// A response may overtake the request's body; no connection goes on without the rest of it.
    #[test]
    fn early_response() {
        let mut exchange = Exchange::new(POST, Version::Http11, false);
        assert!(is_final(exchange.response(&OK).unwrap()).1);
        exchange.response_body_ended();
        assert!(!exchange.client_may_continue() && !exchange.upstream_reusable());
        exchange.request_body_ended();
        assert!(exchange.client_may_continue() && exchange.upstream_reusable());

        let closing = ResponseFacts { keep_alive: false, ..OK };
        let mut exchange = Exchange::new(POST, Version::Http11, false);
        assert!(!is_final(exchange.response(&closing).unwrap()).1, "the body has nowhere to go");
    }

    #[test]
    fn expectation() {
        let request = RequestFacts { expect_continue: true, ..POST };
        let interim = ResponseFacts { status: 100, framing: ResponseFraming::None, ..OK };
        let mut exchange = Exchange::new(request, Version::Http11, false);
        assert!(!is_final(exchange.response(&OK).unwrap()).1, "nobody knows if the body comes");

        let mut exchange = Exchange::new(request, Version::Http11, false);
        let step = exchange.response(&interim);
        assert_eq!(step, Ok(ResponseStep::Interim { forward: true }));
        assert!(is_final(exchange.response(&OK).unwrap()).1);

        let mut exchange = Exchange::new(GET, Version::Http10, false);
        let step = exchange.response(&interim);
        assert_eq!(step, Ok(ResponseStep::Interim { forward: false }));
    }

    #[test]
    fn switching() {
        let asked = RequestFacts { upgrade: true, ..GET };
        let switching =
            ResponseFacts { status: 101, framing: ResponseFraming::None, upgrade: true, ..OK };
        let silent = ResponseFacts { upgrade: false, ..switching };
        for (request, facts, expected) in [
            (asked, switching, Ok(ResponseStep::Tunnel)),
            (GET, switching, Err(Fault::SwitchingUnasked.into())),
            (asked, silent, Err(Fault::SwitchingUnasked.into())),
        ] {
            let mut exchange = Exchange::new(request, Version::Http11, false);
            assert_eq!(exchange.response(&facts), expected);
            exchange.response_body_ended();
            assert!(!exchange.client_may_continue() && !exchange.upstream_reusable());
        }
    }

    #[test]
    fn drain_before_the_head() {
        let mut exchange = Exchange::new(GET, Version::Http11, false);
        exchange.drain();
        assert!(!is_final(exchange.response(&OK).unwrap()).1);
    }
}
