package vfs

import (
	"os"
	"syscall"
)

// datasync is fdatasync: the bytes and the size, without the times of the file.
func datasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
