//! The kernel's side: a filter that asks this process about every call that touches files (seccomp
//! user notification), and the questions and answers.
//!
//! Everything here that the compiler cannot check is a system call with arguments made on the spot.

#![allow(
    unsafe_code,
    reason = "seccomp has no safe interface; each call has a line that says why it is sound"
)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::calls::CALLS;

/// A question of the kernel: may this thread make this call?
pub(crate) struct Question {
    pub(crate) thread: libc::pid_t,
    pub(crate) number: libc::c_long,
    pub(crate) arguments: [u64; 6],
    id: u64,
}

/// The end of a filter at which it asks.
pub(crate) struct Listener(OwnedFd);

/// A pair of sockets through which a child hands over its listener.
pub(crate) struct Handover {
    ours: OwnedFd,
    theirs: OwnedFd,
}

impl Handover {
    pub(crate) fn new() -> io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: the array has room for the two descriptors that are written to it.
        let made = unsafe {
            libc::socketpair(
                libc::AF_UNIX,
                libc::SOCK_STREAM | libc::SOCK_CLOEXEC,
                0,
                ends.as_mut_ptr(),
            )
        };
        check(i64::from(made))?;
        // SAFETY: the kernel has just given these two descriptors to this process alone.
        let [ours, theirs] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        Ok(Self { ours, theirs })
    }

    /// Has a command filter itself before it begins, and hand over the listener.
    pub(crate) fn prepare(&self, command: &mut Command) {
        let socket = self.theirs.as_raw_fd();
        let filter = filter();
        // SAFETY: between fork and exec the closure makes system calls and nothing else: it takes
        // no lock and allocates nothing.
        unsafe { command.pre_exec(move || install(&filter, socket)) };
    }

    /// Waits for the listener. The child must have been started, or [`closed`](Self::close).
    pub(crate) fn receive(ours: &OwnedFd) -> io::Result<Listener> {
        let mut byte = [0_u8; 1];
        let mut part = libc::iovec {
            iov_base: byte.as_mut_ptr().cast(),
            iov_len: 1,
        };
        let mut control = [0_u64; 8];
        // SAFETY: all-zero is a valid value of this plain structure.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of::<[u64; 8]>();
        // SAFETY: the message points to buffers that outlive the call, with their true lengths.
        let got =
            unsafe { libc::recvmsg(ours.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        check(got as i64)?;
        // SAFETY: the kernel has filled in the message; the header lies in `control` if there is one.
        let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        if got == 0 || header.is_null() {
            return Err(io::Error::other("the command did not start"));
        }
        // SAFETY: the one message that `install` sends carries a single descriptor, which is now
        // this process's.
        let listener = unsafe {
            OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned())
        };
        Ok(Listener(listener))
    }

    /// Returns this process's end, and closes the other one.
    pub(crate) fn close(self) -> OwnedFd {
        self.ours
    }

    /// Returns this process's end once more.
    pub(crate) fn ours(&self) -> io::Result<OwnedFd> {
        self.ours.try_clone()
    }
}

impl Listener {
    /// Waits for the next question. `None` when every thread that could ask has ended.
    pub(crate) fn next(&self) -> io::Result<Option<Question>> {
        loop {
            let mut poll = libc::pollfd {
                fd: self.0.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one valid entry is passed, with its number.
            let ready = unsafe { libc::poll(&raw mut poll, 1, -1) };
            match check(i64::from(ready)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                ready => ready?,
            };
            if poll.revents & libc::POLLIN == 0 {
                return Ok(None);
            }
            // SAFETY: all-zero is a valid value, and what the kernel wants to be given.
            let mut asked: libc::seccomp_notif = unsafe { zeroed() };
            // SAFETY: the kernel fills in the structure, which is of the size it expects.
            let received = unsafe {
                libc::ioctl(
                    self.0.as_raw_fd(),
                    libc::SECCOMP_IOCTL_NOTIF_RECV as _,
                    &raw mut asked,
                )
            };
            match check(i64::from(received)) {
                // The thread was killed before it could be asked about.
                Err(gone) if gone.raw_os_error() == Some(libc::ENOENT) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                received => received?,
            };
            return Ok(Some(Question {
                thread: asked.pid.cast_signed(),
                number: asked.data.nr.into(),
                arguments: asked.data.args,
                id: asked.id,
            }));
        }
    }

    /// Lets the call be made, or end with an error instead.
    pub(crate) fn answer(&self, question: &Question, error: Option<i32>) -> io::Result<()> {
        // SAFETY: all-zero is a valid value of this plain structure.
        let mut response: libc::seccomp_notif_resp = unsafe { zeroed() };
        response.id = question.id;
        match error {
            Some(number) => response.error = -number,
            None => response.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        }
        // SAFETY: the kernel reads the structure, which is of the size it expects.
        let sent = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SEND as _,
                &raw mut response,
            )
        };
        match check(i64::from(sent)) {
            // The thread was killed while it waited.
            Err(gone) if gone.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            sent => sent.map(|_| ()),
        }
    }
}

/// Ends a process at once.
pub(crate) fn kill(process: libc::pid_t) {
    // SAFETY: sending a signal touches no memory.
    unsafe { libc::kill(process, libc::SIGKILL) };
}

/// Returns a program that says of each call whether to ask.
fn filter() -> Vec<libc::sock_filter> {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: 0,
        jf: 0,
        k,
    };
    let calls: Vec<u32> = CALLS
        .iter()
        .filter_map(|call| u32::try_from(call.number).ok())
        .collect();
    // The number of the call is the first word of what the program is given.
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
    for (place, number) in calls.iter().enumerate() {
        let to_the_end = u8::try_from(calls.len() - place).unwrap_or(u8::MAX);
        program.push(libc::sock_filter {
            jt: to_the_end,
            ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, *number)
        });
    }
    program.push(statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ALLOW,
    ));
    program.push(statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_USER_NOTIF,
    ));
    program
}

/// Runs in the child: filters it, and sends the listener to the parent.
fn install(filter: &[libc::sock_filter], socket: RawFd) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: a flag of this process is set.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
    // SAFETY: the program is valid for the length that is stated, and the kernel copies it.
    let listener = check(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    })?;
    let mut byte = [0_u8; 1];
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let mut control = [0_u64; 8];
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    let length = size_of::<RawFd>() as u32;
    // SAFETY: computes a length.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(length) } as usize;
    // SAFETY: `control` has room for a header and one descriptor, and is aligned for both.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(length) as usize;
        libc::CMSG_DATA(header)
            .cast::<RawFd>()
            .write_unaligned(listener as RawFd);
    }
    // SAFETY: the message points to buffers that outlive the call, with their true lengths.
    check(unsafe { libc::sendmsg(socket, &raw const message, 0) } as i64)?;
    // SAFETY: the descriptor is this process's and not used again.
    check(unsafe { libc::close(listener as RawFd) }.into())?;
    Ok(())
}

fn check(result: i64) -> io::Result<i64> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
