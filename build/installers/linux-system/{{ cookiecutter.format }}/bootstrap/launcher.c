/* /usr/bin/deskside: start the program with the system's Python, in the environment beside it.
 *
 * The environment sees Debian's own modules (python3-gi). -I keeps the user's variables, folders and modules out;
 * programs that Deskside starts in the same environment find it by the name of the executable, without any variable. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HOME "/usr/lib/{{ cookiecutter.app_name }}"

int main(int argc, char **argv)
{
    static char *const first[] = {HOME "/bin/{{ cookiecutter.app_name }}", "-I", "-m", "{{ cookiecutter.app_name }}"};
    const size_t count = sizeof first / sizeof *first;
    char **arguments = calloc((size_t)argc + count, sizeof *arguments);

    if (!arguments || setenv("DESKSIDE_BUNDLED_MODELS", "/usr/share/{{ cookiecutter.app_name }}/models", 0) != 0) {
        perror("{{ cookiecutter.app_name }}");
        return 1;
    }
    for (size_t i = 0; i < count; i++)
        arguments[i] = first[i];
    for (int i = 1; i < argc; i++)
        arguments[count + (size_t)i - 1] = argv[i];
    execv(first[0], arguments);
    perror("{{ cookiecutter.app_name }}: cannot start " HOME "/bin/{{ cookiecutter.app_name }}");
    return 1;
}
