//go:build !unix

package vfs

import "os"

// lock does nothing where flock does not exist: there the operator keeps two processes apart.
func lock(*os.File) error { return nil }
