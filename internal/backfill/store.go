package backfill

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// store is the working directory of a run: a part of the output for each metric,
// and a journal. At any time the directory has what the journal says, and maybe
// more behind it, which a run that goes on cuts off.
type store struct {
	journal
	output, dir string
	lock        *os.File
	parts       map[string]*os.File
	sizes       map[string]int64 // of the parts, as they are
}

// journal says what is done.
type journal struct {
	// Settings are those that the run was begun with.
	Settings []setting `json:"settings"`
	// Done is the number of steps.
	Done int `json:"done"`
	// Samples is the number of samples in the parts.
	Samples int `json:"samples"`
	// Sizes are the sizes in bytes of the parts after these steps.
	Sizes map[string]int64 `json:"sizes"`
}

const (
	journalName = "journal.json"
	partSuffix  = ".part"
)

// openStore makes the working directory of an output, or goes on with it.
func openStore(output string, settings []setting, resume bool) (s *store, err error) {
	if err := checkAbsent(output); err != nil {
		return nil, err
	}
	s = &store{
		journal: journal{Settings: settings, Sizes: map[string]int64{}}, output: output, dir: output + ".partial",
		parts: map[string]*os.File{}, sizes: map[string]int64{},
	}
	begin := s.create
	if resume {
		begin = s.reopen
	}
	if err := begin(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// create makes the directory, and a journal in which nothing is done.
func (s *store) create() error {
	err := os.Mkdir(s.dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, from a run that was broken off: --resume goes on with it; or remove it", s.dir)
	}
	if err != nil {
		return fmt.Errorf("making the working directory: %w", err)
	}
	if err := s.take(); err != nil {
		return err
	}
	if err := s.save(); err != nil {
		return errors.Join(err, s.remove())
	}
	return nil
}

func checkAbsent(output string) error {
	_, err := os.Lstat(output)
	if err == nil {
		return fmt.Errorf("--output %s is there already: name another file, or remove it", output)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--output: %w", err)
	}
	return nil
}

// take keeps other runs out of the directory, which a run that was killed does
// not.
func (s *store) take() (err error) {
	s.lock, err = os.Open(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s to go on with: leave --resume out to begin", s.dir)
	}
	if err != nil {
		return fmt.Errorf("opening the working directory: %w", err)
	}
	if err := lock(s.lock); err != nil {
		return fmt.Errorf("another run seems to be at work in %s: wait for its end: %w", s.dir, err)
	}
	return nil
}

// reopen reads the journal, and makes the parts what it says.
func (s *store) reopen() error {
	if err := s.take(); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(s.dir, journalName))
	was := journal{Sizes: map[string]int64{}}
	if err == nil {
		err = json.Unmarshal(text, &was)
	}
	if err != nil {
		return fmt.Errorf("reading what was done: %w: remove %s and begin anew without --resume", err, s.dir)
	}
	for i, now := range s.Settings {
		var then setting
		if i < len(was.Settings) {
			then = was.Settings[i]
		}
		if then != now {
			return fmt.Errorf("%s was begun with %s, and now it is %s: use what it was begun with, or remove it and begin anew without --resume", s.dir, then, now)
		}
	}
	s.journal = was
	return s.cut()
}

// cut makes the parts what the journal says.
func (s *store) cut() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("going on with what was done: %w", err)
	}
	for _, entry := range entries {
		// One that the journal does not know was begun after it.
		if name, isPart := strings.CutSuffix(entry.Name(), partSuffix); isPart && s.Sizes[name] == 0 {
			if err := os.Remove(filepath.Join(s.dir, entry.Name())); err != nil {
				return fmt.Errorf("going on with what was done: %w", err)
			}
		}
	}
	for name, size := range s.Sizes {
		if err := s.cutPart(name, size); err != nil {
			return fmt.Errorf("going on with what was done: %w", err)
		}
	}
	return nil
}

// cutPart cuts off what is behind a part's size in the journal.
func (s *store) cutPart(name string, size int64) error {
	part, err := s.part(name)
	if err != nil {
		return err
	}
	info, err := part.Stat()
	if err != nil {
		return err
	}
	if info.Size() < size {
		return fmt.Errorf("%s has %d bytes, and the journal says %d: remove %s and begin anew without --resume", part.Name(), info.Size(), size, s.dir)
	}
	s.sizes[name] = size
	return part.Truncate(size)
}

// String returns a setting as errors name it.
func (s setting) String() string { return fmt.Sprintf("%s %q", s.Name, s.Value) }

// part returns the open file of a metric's part.
func (s *store) part(name string) (*os.File, error) {
	if s.parts[name] == nil {
		part, err := os.OpenFile(filepath.Join(s.dir, name+partSuffix), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			return nil, fmt.Errorf("opening a part of the output: %w", err)
		}
		s.parts[name] = part
	}
	return s.parts[name], nil
}

// add adds a step. Where it fails, nothing may be added or saved any more.
func (s *store) add(families []family) error {
	for _, f := range families {
		part, err := s.part(f.name)
		if err != nil {
			return err
		}
		text := f.lines
		if s.sizes[f.name] == 0 {
			text = slices.Concat(f.head, f.lines)
		}
		if _, err := part.Write(text); err != nil {
			return fmt.Errorf("writing a part of the output: %w", err)
		}
		s.sizes[f.name] += int64(len(text))
		s.Samples += f.samples
	}
	s.Done++
	return nil
}

// save has everything last that was added: first the parts, and then the journal
// that speaks of them.
func (s *store) save() error {
	for _, part := range s.parts {
		if err := part.Sync(); err != nil {
			return fmt.Errorf("saving a part of the output: %w", err)
		}
	}
	s.Sizes = maps.Clone(s.sizes)
	text, err := json.Marshal(s.journal)
	if err != nil {
		return fmt.Errorf("saving what was done: %w", err)
	}
	path := filepath.Join(s.dir, journalName)
	if err := writeFile(path+".new", func(f *os.File) error { _, err := f.Write(text); return err }); err != nil {
		return fmt.Errorf("saving what was done: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("saving what was done: %w", err)
	}
	if err := syncDir(s.lock); err != nil {
		return fmt.Errorf("saving what was done: %w", err)
	}
	return nil
}

// writeFile writes a file that lasts.
func writeFile(path string, write func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// publish makes the output of the parts, and removes the working directory.
func (s *store) publish() error {
	whole := filepath.Join(s.dir, "whole")
	err := writeFile(whole, func(f *os.File) error {
		for _, name := range slices.Sorted(maps.Keys(s.sizes)) {
			if _, err := io.Copy(f, io.NewSectionReader(s.parts[name], 0, s.sizes[name])); err != nil {
				return err
			}
		}
		_, err := f.WriteString("# EOF\n")
		return err
	})
	if err != nil {
		return fmt.Errorf("putting the output together: %w", err)
	}
	if err := checkAbsent(s.output); err != nil { // it may have come meanwhile
		return err
	}
	if err := os.Rename(whole, s.output); err != nil {
		return fmt.Errorf("putting the output in its place: %w", err)
	}
	parent, err := os.Open(filepath.Dir(s.output))
	if err != nil {
		return fmt.Errorf("putting the output in its place: %w", err)
	}
	defer parent.Close()
	if err := syncDir(parent); err != nil {
		return fmt.Errorf("putting the output in its place: %w", err)
	}
	return s.remove()
}

// close closes all files, and leaves the directory.
func (s *store) close() {
	for _, part := range s.parts {
		part.Close()
	}
	if s.lock != nil {
		s.lock.Close()
	}
}

// remove removes the working directory.
func (s *store) remove() error {
	s.close()
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("removing the working directory: %w", err)
	}
	return nil
}
