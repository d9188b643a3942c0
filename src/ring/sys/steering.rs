//! Which socket of a SO_REUSEPORT group gets a connection: by the CPU that its first packet came
//! to (SO_ATTACH_REUSEPORT_CBPF, socket(7); the instructions: the kernel's
//! Documentation/networking/filter.rst).
//!
//! SO_INCOMING_CPU would say the same socket by socket, but kernels before 6.2 stop at the first
//! socket of a group and look no further; a program works since 4.5.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use libc::{c_int, c_void, socklen_t};
use rustix::io::Errno;

/// The most instructions of a program (BPF_MAXINSNS).
const INSTRUCTIONS_MAX: usize = 4096;
/// No group has so many sockets: the kernel then takes its own choice, the hash.
const NO_SOCKET: u32 = u32::MAX;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const INTERFACE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_IFINDEX) as u32;
const CPU: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_CPU) as u32;

/// Gives new connections of the group of `socket`, a listening socket, to the one with the index at
/// which `cpus` has the CPU that they came to: sockets are counted in the order in which they began
/// to listen. Where no place has it, and for what came through none of `interfaces` (by their
/// index), the kernel's hash goes on to choose. A program that was there is replaced.
///
/// # Errors
/// EINVAL where the socket has no SO_REUSEPORT, or the program would be too long; ENOMEM.
pub fn steer(socket: impl AsFd, cpus: &[usize], interfaces: &[u32]) -> io::Result<()> {
    let mut program = program(cpus, interfaces).ok_or(Errno::INVAL)?;
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let filter = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    set(socket, libc::SO_ATTACH_REUSEPORT_CBPF, &filter)
}

/// Takes the program of `socket`'s group away, if it has one.
///
/// # Errors
/// EINVAL where the socket has no SO_REUSEPORT; ENOPROTOOPT before Linux 5.3.
pub fn unsteer(socket: impl AsFd) -> io::Result<()> {
    let unused: c_int = 0;
    match set(socket, libc::SO_DETACH_REUSEPORT_BPF, &unused) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => Ok(()),
        done => done,
    }
}

/// `None` where it would be too long.
fn program(cpus: &[usize], interfaces: &[u32]) -> Option<Vec<libc::sock_filter>> {
    let len = 3 + 2 * interfaces.len() + 2 * cpus.len();
    if len > INSTRUCTIONS_MAX {
        return None;
    }
    let plain = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    // Conditional jumps reach no further than 255: each skips just the instruction after it.
    let unless_equal = |k| libc::sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k };
    let mut program = vec![plain(LOAD, INTERFACE)];
    for (index, interface) in interfaces.iter().enumerate() {
        // Over the interfaces that follow, and over the return.
        let ahead = u32::try_from(2 * (interfaces.len() - index - 1) + 1).ok()?;
        program.extend([unless_equal(*interface), plain(JUMP, ahead)]);
    }
    program.extend([plain(RETURN, NO_SOCKET), plain(LOAD, CPU)]);
    for (index, cpu) in cpus.iter().enumerate() {
        let [cpu, index] = [*cpu, index].map(|number| u32::try_from(number).ok());
        program.extend([unless_equal(cpu?), plain(RETURN, index?)]);
    }
    program.push(plain(RETURN, NO_SOCKET));
    Some(program)
}

fn set<T>(socket: impl AsFd, option: c_int, value: &T) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let (value, len) = (std::ptr::from_ref(value).cast::<c_void>(), size_of::<T>() as socklen_t);
    // SAFETY: `fd` is open, being borrowed, and `value` points to `len` bytes that live until the
    // call returns, as does the program that a `sock_fprog` points to. The kernel copies both, and
    // writes to neither.
    match unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value, len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would make of a packet of this interface at this CPU.
    fn run(program: &[libc::sock_filter], interface: u32, cpu: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            match step.code {
                LOAD if step.k == INTERFACE => value = interface,
                LOAD if step.k == CPU => value = cpu,
                JUMP => at += step.k as usize,
                JUMP_IF_EQUAL => at += usize::from(if value == step.k { step.jt } else { step.jf }),
                RETURN => return step.k,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn programs_find_the_socket_of_a_cpu() {
        let program = program(&[4, 2, 9], &[7, 3, 5]).unwrap();
        for interface in [3, 5, 7] {
            let chosen = [4, 2, 9, 0, 3].map(|cpu| run(&program, interface, cpu));
            assert_eq!(chosen, [0, 1, 2, NO_SOCKET, NO_SOCKET]);
        }
        assert_eq!([1, 2, 4].map(|other| run(&program, other, 4)), [NO_SOCKET; 3]);
    }

    #[test]
    fn programs_end_at_the_kernels_limit() {
        let (cpus, all) = ((0..1000).collect::<Vec<usize>>(), |len| (0..len).collect::<Vec<u32>>());
        assert!(program(&cpus, &all(1046)).is_some());
        assert!(program(&cpus, &all(1047)).is_none(), "longer than 4096");
    }

    #[test]
    fn the_kernel_takes_and_forgets_programs() {
        let socket = || {
            let kind = (socket2::Domain::IPV4, socket2::Type::STREAM);
            let socket = socket2::Socket::new(kind.0, kind.1, None).unwrap();
            socket.set_reuse_port(true).unwrap();
            let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
            socket.bind(&any.into()).unwrap();
            socket.listen(1).unwrap();
            socket
        };
        let socket = socket();
        steer(&socket, &[0, 1], &[1]).unwrap();
        unsteer(&socket).unwrap();
        unsteer(&socket).expect("there is nothing to take away, which is no error");
        let alone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(steer(&alone, &[0], &[1]).is_err(), "no group");
    }
}
