package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// OS is the file system of the machine.
type OS struct{}

type osFile struct{ *os.File }

func (OS) Create(name string) (File, error) {
	return wrap(os.OpenFile(filepath.FromSlash(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640))
}

func (OS) Open(name string) (File, error) { return wrap(os.Open(filepath.FromSlash(name))) }

func (OS) OpenWrite(name string) (File, error) {
	return wrap(os.OpenFile(filepath.FromSlash(name), os.O_RDWR, 0))
}

// wrap keeps a nil *os.File from becoming a File that is not nil.
func wrap(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (OS) Rename(from, to string) error {
	return os.Rename(filepath.FromSlash(from), filepath.FromSlash(to))
}

func (OS) Remove(name string) error    { return os.Remove(filepath.FromSlash(name)) }
func (OS) RemoveAll(name string) error { return os.RemoveAll(filepath.FromSlash(name)) }

// MkdirAll syncs each directory in which it makes another.
func (fs OS) MkdirAll(name string) error {
	if info, err := os.Stat(filepath.FromSlash(name)); err == nil && info.IsDir() {
		return nil
	}
	above := path.Dir(name)
	if above != name {
		if err := fs.MkdirAll(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.FromSlash(name), 0o750); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return fs.SyncDir(above)
}

func (OS) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (OS) SyncDir(name string) error {
	d, err := os.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lock holds an advisory lock on the file until it is closed or the process ends.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.FromSlash(name), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: another process holds it: %w", name, err)
	}
	return f, nil
}

func (f osFile) Sync() error { return datasync(f.File) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
