# Sourced by the tests that start programs under mpirun: how to start them here, and when to skip.
BUILD=${BUILD:-build}
if ! command -v mpirun >/dev/null 2>&1; then
    echo "ok 1 - mpi # SKIP mpirun is not installed"
    exit 0
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
command -v ssh >/dev/null 2>&1 || export OMPI_MCA_plm_rsh_agent=
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_orte_abort_on_non_zero_status=1 OMP_NUM_THREADS=1
. "$(dirname "$0")/support/tap.sh"
