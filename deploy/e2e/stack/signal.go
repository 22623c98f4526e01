package stack

import (
	"fmt"
	"syscall"
)

// Signal sends a signal to the program that was started last under a name, such as
// prometheus or alertmanager.
func (s *Stack) Signal(name string, signal syscall.Signal) error {
	for i := len(s.programs) - 1; i >= 0; i-- {
		if p := s.programs[i]; p.name == name {
			return p.cmd.Process.Signal(signal)
		}
	}
	return fmt.Errorf("no program %s was started", name)
}
