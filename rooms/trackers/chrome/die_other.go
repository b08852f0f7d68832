//go:build !linux && !windows

package chrome

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
