# What an operator and an engineer type. `make` alone lists it.

LAB ?= synklab
PYTHON3 ?= python3
VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
OWN_CONTAINERS := proofs/containers
WITHOUT_ENGINE := proofs/nightly proofs/observe proofs/records proofs/report proofs/target
HEALTHY := $(foreach room,daily weekly monthly security,proofs/$(room)/test_healthy.py)
FAULTS := proofs/test_every_fault.py
SHAPES := proofs/ssh proofs/discover proofs/fleet proofs/lab/test_other_stack.py proofs/swarm proofs/grown
ALONE := proofs/test_harmless.py proofs/monthly/test_changes_nothing.py proofs/monthly/test_drills.py proofs/daily/test_killed.py
PROOFS_WITH ?=
PROOFS := $(PYTHON) -m pytest -p hypothesispytest $(PROOFS_WITH) -W error::DeprecationWarning
export LAB

.DEFAULT_GOAL := help
.PHONY: help demo target test venv lab-up lab-down weekly-review guide lint types proof bench

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## bring up the lab (a real stack) and run the daily expectations against it
	@$(PYTHON) -m lab up
	@$(PYTHON) -m pytest -m daily --target lab || \
		{ echo; echo "Something needs you: the lines above say what, how bad it is, and what to do."; exit 1; }
	@echo
	@echo "'make lab-down' throws the lab away; 'make target' finds a stack of yours and writes target.toml for it."
	@echo "The report: $$(ls -t reports/daily-*.html | head -n 1)"
	@echo "Done: the lab '$(LAB)' stands, and every daily expectation holds on it."

target: $(READY)  ## find a running stack and write target.toml for it: make target PROJECT=NAME OUT=FILE HOST=ssh://USER@NAME
	@# Some shells have a HOST of their own, which is no address.
	@$(PYTHON) -m discover $(if $(PROJECT),--project '$(PROJECT)') $(if $(OUT),--out '$(OUT)') \
		$(if $(DOMAIN),--domain '$(DOMAIN)') $(if $(SSH_CONFIG),--ssh-config '$(SSH_CONFIG)') \
		$(if $(or $(filter ssh://%,$(HOST)),$(filter command,$(firstword $(origin HOST)))),--host '$(HOST)')

test: $(READY)  ## the suite's own tests: unit tests, and every expectation proven on a lab of its own
	@# What makes containers of its own, two at a time. Then the faults, on two labs, which wait for health checks more
	@# than they work, and beside them what looks at a whole lab and at stacks of other shapes. Last what compares all that
	@# the engine has, and beside it what needs none.
	@status=0; beside=$$(mktemp); running=; \
	trap 'test -z "$$running" || { kill $$running; wait $$running; }; rm -f $$beside; exit 130' INT TERM; \
	$(PROOFS) --durations=15 -n 2 --dist loadfile $(OWN_CONTAINERS) || status=1; \
	$(PROOFS) --durations=15 -n 2 --dist worksteal $(HEALTHY) $(FAULTS) > $$beside 2>&1 & running=$$!; \
	PROOFS_PART=w $(PROOFS) --durations=15 \
		$(addprefix --ignore=,$(OWN_CONTAINERS) $(WITHOUT_ENGINE) $(HEALTHY) $(FAULTS) $(SHAPES) $(ALONE)) proofs || status=1; \
	PROOFS_PART=s $(PROOFS) --durations=15 $(SHAPES) || status=1; \
	wait $$running || status=1; cat $$beside; \
	$(PROOFS) --durations=15 $(WITHOUT_ENGINE) > $$beside 2>&1 & running=$$!; \
	$(PROOFS) --durations=5 $(ALONE) || status=1; \
	wait $$running || status=1; cat $$beside; rm -f $$beside; \
	exit $$status

proof: $(READY)  ## the proofs of one expectation: make proof K=backup-fresh
	@$(PROOFS) proofs -k "$(K)"

venv: $(READY)  ## the virtual environment

lab-up: $(READY)  ## bring up the lab, or bring it up to date
	@$(PYTHON) -m lab up

lab-down: $(READY)  ## throw the lab away; nothing of it stays
	@$(PYTHON) -m lab down

weekly-review: $(READY)  ## the report of the week from the history alone, the target isn't touched: make weekly-review TARGET=FILE
	@# Status 1 says that something is broken, which is what a review is there to show.
	@$(PYTHON) -m pytest --review $(if $(TARGET),--target '$(TARGET)') || [ $$? -eq 1 ]
	@ls -t reports/review-*.html reports/review-*.md 2>/dev/null | head -n 2

guide: $(READY)  ## docs/guide.md: the guide's lines, and who looks after each
	@$(PYTHON) -m records guide

lint: $(READY)  ## ruff
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

types: $(READY)  ## mypy, strict
	@$(PYTHON) -m mypy .

bench: $(READY)  ## measure beside what a person would use instead: make bench B=daily, or triage, kinds, backup, restore, logs, container_logs, access_90_days, outputs, ssh, fleet
	@$(PYTHON) -m bench.$(or $(B),daily)

$(READY): requirements.lock requirements-scanners.lock
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with PYTHON3=/path/to/python3.11"; exit 1; }
	@echo "making $(VENV) (once, about half a minute) ..."
	@$(PYTHON3) -m venv $(VENV) || \
		{ echo "the venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@# The TLS scanner wants an older cryptography than anybody should have: it gets an environment of its own.
	@$(PYTHON) -m venv $(VENV)/scanners
	@$(VENV)/scanners/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-scanners.lock
	@# pytest takes the FILE of `--target FILE` for a path to test and looks for its configuration beside it;
	@# in this environment, which is this project's alone, it is told where its configuration is.
	@printf 'import os; os.environ.setdefault("PYTEST_ADDOPTS", "-c '"\\\\\"%s\\\\\""'")\n' "$(CURDIR)/pyproject.toml" \
		> "$$($(PYTHON) -c 'import site; print(site.getsitepackages()[0])')/operations_checks.pth"
	@touch $@
