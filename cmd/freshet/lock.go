package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A dataDir is the data directory, held by this process alone. The kernel ends
// the hold with the process, however that ends.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir makes the directory if it is not there and takes hold of it. It
// fails if another server has it.
func openDataDir(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "freshet.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(lock.Name())
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is in use by another server (process %s); stop it, or choose another directory with --data", path, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("data directory %s: lock: %w", path, err)
	}
	if err := lock.Truncate(0); err == nil {
		_, _ = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // for people; nothing reads it but the message above
	}
	return &dataDir{path: path, lock: lock}, nil
}

// file returns the path of a file in the directory.
func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// writeAddress leaves the address that the server listens on in freshet.addr,
// for scripts that start it on port 0. Close removes it.
func (d *dataDir) writeAddress(url string) error {
	temp := d.file("freshet.addr.tmp")
	if err := os.WriteFile(temp, []byte(url+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, d.file("freshet.addr"))
}

// Close gives the directory up.
func (d *dataDir) Close() error {
	_ = os.Remove(d.file("freshet.addr")) // not there if the server never listened
	return d.lock.Close()
}
